"""Who may connect, and as whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Literal, get_args

Gaps = Literal["fill", "strict"]
GAPS: tuple[Gaps, ...] = get_args(Gaps)


@dataclass(frozen=True, slots=True)
class ClientGroup:
    """Clients that are treated alike.

    Attributes:
        name: the user in evidence and `status`.
        networks: where its clients are.
        slot: the priority slot its writes stand for, 1..16.
        write: whether it may write at all.
        gaps: `fill` answers unassigned registers of a span, `strict` refuses them with 02.
        answer_within_s: seconds after which a write that is not accepted yet is answered 06.
        requests_per_s: cap of each address, for all its connections together, None for none; what is beyond it waits.
    """

    name: str
    networks: tuple[IPv4Network | IPv6Network, ...]
    slot: int
    write: bool
    gaps: Gaps = "fill"
    answer_within_s: float = 2.0
    requests_per_s: float | None = None


def find_group(groups: Sequence[ClientGroup], host: str) -> ClientGroup | None:
    """The group with the narrowest network around `host`, the first of equals; None outside every group."""
    address = plain_address(host)
    best: ClientGroup | None = None
    best_length = -1
    for group in groups:
        for network in group.networks:
            if network.version == address.version and address in network and network.prefixlen > best_length:
                best, best_length = group, network.prefixlen
    return best


def plain_address(host: str) -> IPv4Address | IPv6Address:
    """A peer address without zone, IPv4 for an IPv4 client of a dual-stack socket."""
    address = ip_address(host.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
