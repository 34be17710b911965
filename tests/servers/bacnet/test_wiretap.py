"""The check of all that is sent: it sees what there is, and finds what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.servers.bacnet.campus import FIRST, WHO_IS, destined, running
from tests.servers.bacnet.wiretap import Wiretap, is_there, tapped

PEER = ("127.0.0.1", 1)
CUT_OBJECT_ID = bytes.fromhex("810b0010 0100 1000 c402 03f7")


@pytest.fixture(autouse=True)
def needs_tshark() -> None:
    if not is_there():
        pytest.skip("tshark is not installed")


def test_a_malformed_frame_is_found(tmp_path: Path) -> None:
    tap = Wiretap()
    good = bytes.fromhex("810b0014 0100 1000 c40203f7a1 2205c4 9103 2103")
    for frame in (good, CUT_OBJECT_ID, good):
        tap.hear(tap, PEER, frame)
    assert len(tap.frames) == 2
    (found,) = tap.wrong(tmp_path / "some.pcap")
    assert CUT_OBJECT_ID.hex() in found


async def test_it_hears_the_quick_way_and_the_router(tmp_path: Path) -> None:
    with tapped() as tap:
        async with running(2) as (_, client):
            assert await client.raw.apdu("0205 05 0c 0c023fffff 194d") is not None
            client.send(destined(WHO_IS, 0xFFFF))
            await client.hear_all(3)
    sent = b"".join(frame for _, _, frame in tap.frames)
    assert b"EV Gateway" in sent
    assert FIRST.to_bytes(3, "big") in sent
    assert tap.wrong(tmp_path / "some.pcap") == []
