"""What `status` says of points and resources without a value."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.app.control import Control
from tests.site import running_site, until

ANSWERED = "garage-7/charger/reboot_required"


async def test_a_value_that_only_an_answer_brings_is_not_bad_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    async with running_site(tmp_path, stations=2, zones=2, meters=0) as site:
        await site.complete()
        control = Control(site.daemon)
        await until(lambda: "bad" not in control.status()["points"])
        row = control.read(ANSWERED)
        assert (row["quality"], row["reason"]) == ("bad", "known after the first operator limit")
        count = sum(control.status()["points"].values())
        await control.write("garage-7/charger/operator_limit", 10.0, None, "anna", until=None)
        await until(lambda: control.read(ANSWERED)["quality"] == "good")
        assert sum(control.status()["points"].values()) == count + 1


async def test_one_cause_is_told_once_for_a_resource_and_a_missing_one_is_not_inhibited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    async with running_site(tmp_path, stations=2, zones=2, meters=0) as site:
        await site.complete()
        control = Control(site.daemon)
        await site.evce.do("delete", kind="zone", name="Zone B")
        site.daemon.pollers["evce"].relist(site.daemon.site.products["evce"].kinds["zone"])
        await until(lambda: control.status()["missing"] == ["evce/zone/Zone B"])
        status = control.status()
        assert status["inhibited"] == {}
        told = [line for line in status["bad"] if line.startswith("evce/zone/Zone B")]
        reasons = [line.partition(": ")[2] for line in told]
        assert len(reasons) == len(set(reasons))
        whole = next(line for line in told if line.endswith("not present: no zone of this name is listed"))
        assert whole.startswith("evce/zone/Zone B, ")
        assert int(whole.split()[2]) > 5
