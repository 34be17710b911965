"""The HTTP side both simulators share: listening, TLS, faults, the record of writes.

A subclass gives the API base, the answer to a request, and its operations.
"""

import asyncio
import json
import ssl
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from email.utils import formatdate
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from gateway.simulator.certificate import ServerCertificate, make_certificate
from gateway.simulator.exchange import Answer, Received, Request
from gateway.simulator.faults import Fault, Faults, spoil
from gateway.simulator.sending import cut_off, send

READS = ("GET", "HEAD", "OPTIONS")
SHUTDOWN_S = 0.1  # a request delayed by a fault must not hold up the stop


class OperationError(ValueError):
    """An operation that cannot be carried out; the text is a sentence for the person who asked."""


class Simulator(ABC):
    """A simulated product on an HTTP port; an async context manager that listens between start and stop."""

    base: str
    kind: str

    def __init__(self, *, host: str, port: int, clock: Callable[[], float], tls: bool) -> None:
        self.clock = clock
        self.clock_offset_s = 0.0
        self.down_until = float("-inf")
        self.faults = Faults()
        self.received: list[Received] = []
        self.certificate: ServerCertificate | None = make_certificate() if tls else None
        self._host = host
        self._port = port
        self._tls: ssl.SSLContext | None = None
        self._server: web.Server | None = None
        self._runner: web.ServerRunner | None = None

    @property
    def url(self) -> str:
        """Scheme, host and port, without a path."""
        return f"{'https' if self.certificate else 'http'}://{bracketed(self._host)}:{self._port}"

    @property
    def certificate_pem(self) -> str:
        """The certificate now presented, "" without TLS."""
        return self.certificate.certificate_pem if self.certificate else ""

    @property
    def fingerprint(self) -> str:
        """The fingerprint of that certificate, "" without TLS."""
        return self.certificate.fingerprint if self.certificate else ""

    @property
    def wall(self) -> float:
        """What the product's own clock shows, epoch s."""
        return self.clock() + self.clock_offset_s

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listens; after a stop on the same port as before."""
        if self._runner is not None:
            return
        if self.certificate is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.certificate.load_into(self._tls)
        self._server = web.Server(self._serve, access_log=None)
        self._runner = web.ServerRunner(self._server, shutdown_timeout=SHUTDOWN_S)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port, ssl_context=self._tls, reuse_address=True)
        try:
            await site.start()
        except OSError:
            await self.stop()
            raise
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Closes the port and every connection; a later connection attempt is refused."""
        runner, self._runner, self._server = self._runner, None, None
        if runner is not None:
            await runner.cleanup()

    def present(self, certificate: ServerCertificate) -> None:
        """Changes the certificate and drops the connections made under the old one."""
        self.certificate = certificate
        if self._tls is not None:
            certificate.load_into(self._tls)
        self.drop_connections()

    def drop_connections(self) -> None:
        """Resets every open connection."""
        for connection in self._server.connections if self._server is not None else []:
            if connection.transport is not None:
                connection.transport.abort()

    @abstractmethod
    def answer(self, request: Request) -> Answer:
        """Answers one request as the product does at this moment."""

    @abstractmethod
    def advance(self) -> None:
        """Brings the model to the clock's time."""

    @abstractmethod
    def truth(self) -> dict[str, Any]:
        """Returns the state of the model as JSON."""

    @abstractmethod
    async def do(self, op: str, /, **parameters: Any) -> dict[str, Any]:
        """Carries out a named operation; OperationError when that is not possible."""

    def ignoring_writes(self, request: Request) -> Answer:
        """Answers like `answer` without changing anything; products without such a mode answer 200."""
        return Answer(200, {})

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        if self.clock() < self.down_until:
            return cut_off(request)
        faults = self.faults.take(request.method, request.path, self.base)
        delay_s = sum(fault.delay_s for fault in faults)
        if delay_s:
            await asyncio.sleep(delay_s)
        answer = self._answer_with(faults, _request_of(request, body))
        cut_before = any(fault.cut == "reset" and fault.after_bytes == 0 for fault in faults)
        if request.method not in READS:
            self._record(request, body, 0 if cut_before else answer.status)
        headers: dict[str, str] = {"Date": formatdate(self.wall, usegmt=True)}
        sent = answer.body()
        if sent:
            headers["Content-Type"] = answer.content_type
        for fault in faults:
            headers.update(fault.headers)
        try:
            return await send(request, answer.status, headers, spoil(sent, faults), faults)
        except ConnectionError:  # the client went away during a long answer
            return cut_off(request)

    def _answer_with(self, faults: list[Fault], request: Request) -> Answer:
        stand_in = next((fault for fault in faults if fault.status is not None), None)
        if stand_in is not None and stand_in.status is not None:
            return Answer(stand_in.status, raw=(stand_in.body or "").encode())
        ignoring = any(fault.ignore_write for fault in faults)
        answer = self.ignoring_writes(request) if ignoring else self.answer(request)
        written = next((fault.body for fault in faults if fault.body is not None), None)
        return answer if written is None else Answer(answer.status, raw=written.encode())

    def _record(self, request: web.BaseRequest, body: bytes, status: int) -> None:
        try:
            parsed: object = json.loads(body)
        except (ValueError, RecursionError):
            parsed = None
        self.received.append(Received(self.clock(), request.method, request.path, parsed, status))


def bracketed(host: str) -> str:
    """Writes a host for a URL: IPv6 addresses in brackets."""
    return f"[{host}]" if ":" in host else host


def _request_of(request: web.BaseRequest, body: bytes) -> Request:
    headers: Mapping[str, str] = request.headers
    return Request(
        method=request.method,
        path=request.path,
        query=dict(request.query),
        authorization=headers.get("Authorization"),
        content_type=headers.get("Content-Type", ""),
        body=body,
    )
