"""/metrics for Prometheus: for the networks of `web.metrics_allow`, 403 for everybody else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

Network = IPv4Network | IPv6Network


class MetricsRoute:
    """Answers a scrape; `render` gives the text exposition, `allow` says who may have it."""

    def __init__(self, render: Callable[[], bytes], allow: Sequence[Network]) -> None:
        self._render, self._allow = render, tuple(allow)

    async def answer(self, request: web.Request) -> web.Response:
        """The metrics, or a sentence that says who may read them."""
        if not self._may(request.remote):
            text = "this address is not in web.metrics_allow of config.yaml\n"
            return web.Response(status=403, text=text)
        return web.Response(body=self._render(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    def _may(self, host: str | None) -> bool:
        """Whether the peer of the connection is in an allowed network; what a proxy says of others does not count."""
        if host is None:
            return False
        address = ip_address(host.partition("%")[0])
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(network.version == address.version and address in network for network in self._allow)
