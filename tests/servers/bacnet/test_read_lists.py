"""ReadRange of lists that are no Trend Logs: by position, in octets; nothing else can be asked of them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from rusty_bacnet import BACnetClient, ObjectIdentifier, ObjectType

from gateway.servers.bacnet import ClassConfig, Destination
from tests.servers.bacnet.alarm_rig import CLASS, DEVICE, STATUS, AlarmRig, Bms
from tests.servers.bacnet.rusty import P
from tests.servers.bacnet.trends import by_position, by_sequence, by_time
from tests.servers.bacnet.watcher import subscription

RECIPIENTS = tuple(Destination(device=1000 + number) for number in range(64))
OCTETS = [each.octets.hex() for each in RECIPIENTS]
FIRST, LAST, MORE = 0x80, 0x40, 0x20


@pytest.fixture
async def bms() -> AsyncIterator[Bms]:
    rig = AlarmRig(classes=[ClassConfig(recipients=RECIPIENTS), ClassConfig(instance=2, name="Nobody")])
    await rig.life()
    made = Bms(rig.server.port)
    yield made
    made.sock.close()
    await rig.server.stop()


async def read(bms: Bms, how: bytes = b"", key: int = CLASS, prop: int = 102, size: int = 5) -> str | None:
    where = b"\x0c" + key.to_bytes(4, "big")
    where += b"\x19%c" % prop if prop < 256 else b"\x1a" + prop.to_bytes(2, "big")
    return await bms.request(26, where + how, size)


def page(flags: int, *items: str, key: int = CLASS, prop: int = 102) -> str:
    """A ReadRange-ACK without its invoke id."""
    return f"301a0c{key:08x}19{prop:02x}3a05{flags:02x}49{len(items):02x}5e{''.join(items)}5f"


async def test_a_list_is_read_from_or_up_to_an_item(bms: Bms) -> None:
    assert await read(bms, by_position(1, 2)) == page(FIRST, *OCTETS[:2])
    assert await read(bms, by_position(63, 10)) == page(LAST, *OCTETS[62:])
    assert await read(bms, by_position(64, -2)) == page(LAST, *OCTETS[62:])
    assert await read(bms, by_position(2, -9)) == page(FIRST, *OCTETS[:2])
    for nowhere in (0, 65):
        assert await read(bms, by_position(nowhere, 1)) == page(0), "there is no such item"
    assert await read(bms, key=15 << 22 | 2) == page(0, key=15 << 22 | 2), "an empty list"


async def test_what_does_not_fit_is_read_on(bms: Bms) -> None:
    """480 octets with APDU header, object and property, and flags, count, tags and a number, if there were one."""
    most = (480 - 3 - 7 - 13) // len(RECIPIENTS[0].octets)
    assert await read(bms, size=3) == page(FIRST | MORE, *OCTETS[:most])
    assert await read(bms, by_position(most + 1, 3), size=3) == page(0, *OCTETS[most : most + 3])
    assert await read(bms, by_position(64, -64), size=3) == page(LAST | MORE, *OCTETS[64 - most :])


async def test_subscriptions_are_read_one_by_one(bms: Bms) -> None:
    other = Bms(bms.target[1])
    for process in (1, 2, 3):
        other.send(b"\x00\x05%c\x05" % process + subscription(STATUS, 300, False, process))
        assert await other.apdu_in(2.0) is not None
    whole = await bms.read(DEVICE, 152)
    other.sock.close()
    entry = len(whole) // 3
    parts = [whole[at : at + entry] for at in range(0, len(whole), entry)]
    assert await read(bms, by_position(2, 1), DEVICE, 152) == page(0, parts[1], key=DEVICE, prop=152)
    assert await read(bms, b"", DEVICE, 152) == page(FIRST | LAST, *parts, key=DEVICE, prop=152)
    assert await read(bms, b"", DEVICE, 30) == page(0, key=DEVICE, prop=30), "Device_Address_Binding is empty"


@pytest.mark.parametrize(
    ("how", "answer"),
    [
        (by_sequence(1, 1), "501a91029134"),  # property, list-item-not-numbered
        (by_time(1.8e9, 1), "501a91029135"),  # property, list-item-not-timestamped
        (b"\x29\x01" + by_position(1, 1), "501a91029132"),  # property, property-is-not-an-array
    ],
)
async def test_what_a_list_has_not_is_refused_by_its_cause(bms: Bms, how: bytes, answer: str) -> None:
    assert await read(bms, how) == answer


async def test_rusty_reads_a_recipient_list(bms: Bms) -> None:
    of = ObjectIdentifier(ObjectType.NOTIFICATION_CLASS, 1)
    where = (f"127.0.0.1:{bms.target[1]}", of, P.RECIPIENT_LIST)
    async with BACnetClient("127.0.0.1", 0, "127.255.255.255", 3000) as client:
        last = await client.read_range(*where, range_type="position", reference_index=64, count=-3)
    assert (last["item_count"], last["result_flags"], last["violations"]) == (3, (False, True, False), [])
    assert last["item_data"].hex() == "".join(OCTETS[61:])
