"""The disturber on a site with quick periods: after 15 s of faults of every kind everything is as before."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.disturber import Plan, run
from tests.faults.verdict import repeats, without_ids


@pytest.mark.timeout(240)
async def test_H12_H17_after_faults_of_every_kind_everything_is_as_before(tmp_path: Path) -> None:
    verdict = await run(tmp_path, Plan(seconds=15.0, seed=5, brief=8.0))
    assert verdict.problems == [], "\n".join(verdict.lines)


def test_a_repeat_is_the_same_said_again_of_the_same_thing() -> None:
    lines = [
        "12:00:01 [warning  ] read.failed   read='list zone' reason='GET /a: 503' source=evce",
        "12:00:02 [warning  ] read.failed   read='list zone' reason='GET /a: 503' source=evce",
        "12:00:03 [warning  ] read.failed   read='list zone' reason='GET /a: 503' source=annex",
        "12:00:04 [info     ] read.recovered read='list zone' source=evce",
        "12:00:05 [warning  ] read.failed   read='list zone' reason='GET /a: 503' source=evce",
        "12:09:05 [warning  ] read.failed   read='list zone' reason='GET /a: 503' source=evce",
        "Traceback (most recent call last):",
    ]
    assert repeats(lines, 10.0) == 1


def test_addresses_are_compared_but_for_ids() -> None:
    row = '  - {{source: "evce", kind: "zone", name: "Zone \\"id: A", id: {}, block: 0}}\n'
    assert without_ids(row.format('"7"')) == without_ids(row.format('"1\\"2"')) == without_ids(row.format("null"))
    assert without_ids(row.format('"7"')) != without_ids(row.format('"7"').replace("block: 0", "block: 1"))
