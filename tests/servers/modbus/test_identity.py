"""FC43/14 on the wire (V1.1b3, 6.21): basic, regular, extended and individual."""

from __future__ import annotations

from tests.servers.modbus.conftest import Bench


def ident(kind: int, first: int = 0) -> bytes:
    return bytes((43, 14, kind, first))


def objects(answer: bytes) -> dict[int, str]:
    """The objects of an answer, whose head is function, MEI type, kind, conformity, more, next, count."""
    found, at = {}, 7
    for _ in range(answer[6]):
        length = answer[at + 1]
        found[answer[at]] = answer[at + 2 : at + 2 + length].decode()
        at += 2 + length
    assert at == len(answer)
    return found


BASIC = {0: "EVCE gateway", 1: "EV charging gateway", 2: "1.2.3"}
REGULAR = BASIC | {4: "EV charging gateway", 5: "EVCE and Bender to Modbus TCP and BACnet/IP", 6: "Head Office"}
EXTENDED = REGULAR | {0x80: "00000000deadbeef", 0x81: "1"}


async def test_each_kind_of_read_gives_its_objects_the_map_hash_among_them(bench: Bench) -> None:
    await bench.serve(site="Head Office", map_hash=lambda: 0xDEADBEEF)
    wire = await bench.connect()
    for kind, expected in ((1, BASIC), (2, REGULAR), (3, EXTENDED)):
        answer = await wire.ask(ident(kind))
        assert answer[:6] == bytes((43, 14, kind, 0x83, 0, 0))
        assert objects(answer) == expected
    assert objects(await wire.ask(ident(3, 0x80))) == {0x80: "00000000deadbeef", 0x81: "1"}
    assert objects(await wire.ask(ident(4, 0x80))) == {0x80: "00000000deadbeef"}
    assert objects(await wire.ask(ident(1, 0x7F))) == BASIC, "an unknown first object begins anew"


async def test_what_it_refuses(bench: Bench) -> None:
    await bench.serve()
    wire = await bench.connect()
    for pdu, code in (
        (ident(4, 3), 2),
        (ident(0), 3),
        (ident(5), 3),
        (bytes((43, 13, 1, 0)), 1),
        (bytes((43, 14, 1)), 3),
        (bytes((43,)), 3),
    ):
        assert await wire.ask(pdu) == bytes((0xAB, code))


async def test_a_long_site_name_is_cut_between_characters(bench: Bench) -> None:
    await bench.serve(site="ä" * 100)
    assert objects(await (await bench.connect()).ask(ident(4, 6))) == {6: "ä" * 30}
