"""What `status` says of BACnet beside the port."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.cli.show import _show_bacnet


def shown(capsys: pytest.CaptureFixture[str], **more: Any) -> str:
    _show_bacnet({"hint": "", "time_sync": None, "virtual": None, **more})
    return " ".join(capsys.readouterr().out.split())


def test_nothing_to_say(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys) == ""


def test_why_a_bms_may_not_find_the_gateway(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, hint="no mask [here]") == "bacnet: no mask [here]"


@pytest.mark.parametrize(("ahead_s", "words"), [(10.04, "10.0 s ahead of"), (-3600.0, "3600.0 s behind")])
def test_who_sent_the_time(capsys: pytest.CaptureFixture[str], ahead_s: float, words: str) -> None:
    text = shown(capsys, time_sync={"client": "10.0.0.9:47808", "at": 1.8e9, "ahead_s": ahead_s})
    assert text.startswith("bacnet: 10.0.0.9:47808 sent the time at 2027-01-1")
    assert text.endswith(f"{words} this machine's clock, which is not changed")


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "bacnet: 0 virtual devices in network 200"), (3, "bacnet: 3 virtual devices in network 200: 270000..270002")],
)
def test_what_stands_behind_the_router(capsys: pytest.CaptureFixture[str], count: int, words: str) -> None:
    virtual = {"network": 200, "count": count, "first": 270000, "last": 270002}
    assert shown(capsys, virtual=virtual) == words
