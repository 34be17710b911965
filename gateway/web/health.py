"""/healthz for load balancers and monitoring: 200 while every source answers, 503 otherwise; no values, no names."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from gateway.web.metrics import MetricsRoute


class HealthServer:
    """One route on the web listener."""

    def __init__(self, host: str, port: int, healthy: Callable[[], bool], metrics: MetricsRoute) -> None:
        self._host, self._port, self._healthy, self._metrics = host, port, healthy, metrics
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Binds.

        Raises:
            OSError: the address is taken, in words.
        """
        app = web.Application(client_max_size=1024)
        app.router.add_get("/healthz", self._health)
        app.router.add_get("/metrics", self._metrics.answer)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise OSError(error.errno, f"web: cannot listen on {self._host}:{self._port}: {error.strerror}") from error

    async def stop(self) -> None:
        """Stops serving."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _health(self, _request: web.Request) -> web.Response:
        healthy = self._healthy()
        return web.Response(text="ok\n" if healthy else "degraded\n", status=200 if healthy else 503)
