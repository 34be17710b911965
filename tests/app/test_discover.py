"""`discover` against the strict simulators: everything readable is asked once, nothing is written, nothing leaks."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.app.discover import Found, SourceAnswers, discover
from gateway.config import load_config
from gateway.mapping.openapi import ENDPOINTS, HIDDEN, read_openapi, shape_of
from gateway.mapping.openapi.rows import rows_of
from gateway.mapping.openapi.walk import walk
from gateway.simulator import BenderSimulator, EvceSimulator
from tests.site import MAPPINGS, PASSWORD, SiteFiles, site_files

OPENAPI = Path(__file__).parents[1] / "mapping" / "openapi" / "files"
LOGINS = {"evce": ["/api/v2/login/login", "/api/v2/login/logout"], "bender": ["/v1/login", "/v1/logout"]}


class Bench:
    """Two simulators, their configuration, and every GET they answered."""

    def __init__(self, evce: EvceSimulator, bender: BenderSimulator, files: SiteFiles) -> None:
        self.evce, self.bender, self.files = evce, bender, files
        self.asked: list[str] = []
        for sim in (evce, bender):
            self._listen(sim)

    def _listen(self, sim: Any) -> None:
        answer = sim.answer

        def noted(request: Any) -> Any:
            if request.method == "GET":
                self.asked.append(request.path)
            return answer(request)

        sim.answer = noted

    async def run(self, *names: str) -> dict[str, SourceAnswers]:
        loaded, faults = load_config(self.files.write())
        assert loaded is not None
        assert faults == []
        wanted = [source for source in loaded.config.sources if not names or source.name in names]
        return {found.name: found for found in await discover(loaded, wanted)}

    def writes(self) -> list[str]:
        return [item.path for item in (*self.evce.received, *self.bender.received)]


@contextlib.asynccontextmanager
async def made(folder: Path, dialect: Any) -> AsyncIterator[Bench]:
    async with EvceSimulator(dialect=dialect) as evce, BenderSimulator(seed=2) as bender:
        yield Bench(evce, bender, site_files(folder, evce, [bender], dialect))


@pytest.fixture(params=["desc", "nested"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    async with made(tmp_path, request.param) as one:
        yield one


@pytest.fixture
async def desc(tmp_path: Path) -> AsyncIterator[Bench]:
    async with made(tmp_path, "desc") as one:
        yield one


async def test_every_endpoint_of_the_tables_is_asked_once_and_answered(bench: Bench) -> None:
    found = await bench.run()
    for source in found.values():
        assert [answer.endpoint for answer in source.answers] == list(ENDPOINTS[source.product])
        problems = {answer.endpoint.path: answer.problem for answer in source.answers if answer.problem}
        assert set(problems) <= {"/stations/{id}/cmds/status/{cmd_id}"}
        assert source.problem == ""
        assert source.notes == []
    asked = [path for path in bench.asked if path != "/v1/login"]
    assert len(asked) == len(set(asked)) == sum(map(len, ENDPOINTS.values())) - 1


async def test_nothing_is_written_and_each_source_is_logged_out(bench: Bench) -> None:
    await bench.run()
    assert bench.writes() == LOGINS["evce"] + LOGINS["bender"]
    assert bench.evce.accounts.session is None
    assert bench.bender.login.session is None


async def test_resources_are_listed_by_the_mapping(bench: Bench) -> None:
    found = (await bench.run("evce"))["evce"]
    site = bench.evce.site
    zones = [Found("zone", zone.name, str(zone.id)) for zone in site.zones.values()]
    stations = [Found("station", station.name, str(station.id)) for station in site.stations.values()]
    meters = [Found("meter", meter.name, str(meter.id)) for meter in site.meters.values()]
    assert [item for item in found.resources if item.kind == "zone"] == zones
    assert [item for item in found.resources if item.kind == "station"] == stations
    assert [item for item in found.resources if item.kind == "meter"] == meters


async def test_ids_are_guessed_when_the_mapping_is_of_another_dialect(bench: Bench) -> None:
    other = {"desc": "evce-nested.yaml", "nested": "evce.yaml"}[bench.evce.dialect]
    bench.files.data["sources"][0]["mapping"] = str(MAPPINGS / other)
    found = (await bench.run("evce"))["evce"]
    assert any("does not fit the answer; ids are guessed" in note for note in found.notes)
    zones = [Found("zone", zone.name, str(zone.id)) for zone in bench.evce.site.zones.values()]
    assert [item for item in found.resources if item.kind == "zone"] == zones
    assert len([answer for answer in found.answers if answer.problem]) == 1


async def test_a_broken_mapping_is_noted_and_not_needed(desc: Bench) -> None:
    broken = desc.files.folder / "broken.yaml"
    broken.write_text("product: evce\nresources: 3\n", encoding="utf-8")
    desc.files.data["sources"][0]["mapping"] = "broken.yaml"
    found = (await desc.run("evce"))["evce"]
    assert "broken.yaml:2:12" in found.notes[0]
    assert [item.name for item in found.resources if item.kind == "zone"] == ["Zone A", "Zone B", "Zone C"]


async def test_an_endpoint_that_fails_is_reported_and_the_rest_goes_on(desc: Bench) -> None:
    body = json.dumps({"code": 7, "message": f"not for {PASSWORD}"})
    desc.evce.faults.add("/em/zones", method="GET", status=403, body=body)
    desc.evce.faults.add("/pms/*", replace="html")
    found = (await desc.run("evce"))["evce"]
    answers = {answer.endpoint.path: answer for answer in found.answers}
    assert answers["/em/zones"].status == 403
    assert answers["/em/zones"].problem == f"GET /api/v2/em/zones: 403 'not for {HIDDEN}'"
    assert answers["/em/zones/{id}/status"].problem == "not asked: no id is known from /em/zones"
    assert "not JSON" in answers["/pms/{id}/values"].problem
    assert answers["/stations/{id}/status"].problem == answers["/pms"].problem == ""
    assert found.problem == ""
    assert desc.evce.accounts.session is None


async def test_no_secret_is_kept(bench: Bench) -> None:
    bench.bender.faults.add("/settings", member="result.Enabled_wlan", value={"type": "password", "value": "s3cret"})
    bench.bender.faults.add("/messages", member="messages", value=[{"text": f"login with {PASSWORD}"}])
    bench.evce.faults.add("/stations/models", member="0.ocpp_password", value="s3cret")
    bench.evce.faults.add("/stations/models", member="0.name", value="eyJhbGciOiJIUzI1NiJ9.eyJqdGkiOjF9.s3cret")
    text = repr(await bench.run())
    assert "s3cret" not in text
    assert PASSWORD not in text
    assert HIDDEN in text
    assert not re.search(r"eyJ\w+\.", text)


async def test_a_source_that_is_not_there_does_not_end_the_others(desc: Bench) -> None:
    await desc.evce.stop()
    found = await desc.run()
    assert "cannot connect" in found["evce"].problem
    assert found["evce"].answers == []
    assert found["garage-7"].problem == ""


async def test_a_source_that_goes_away_is_not_asked_on(desc: Bench) -> None:
    stop = desc.evce.answer
    count = 0

    def answer(request: Any) -> Any:
        nonlocal count
        count += 1
        if count == 5:
            desc.evce.drop_connections()
            desc.evce.down_until = float("inf")
        return stop(request)

    desc.evce.answer = answer  # type: ignore[method-assign]
    found = (await desc.run("evce"))["evce"]
    assert found.answers[0].problem == ""
    assert found.answers[-1].problem != ""


async def test_a_refused_password_is_said_once_and_not_repeated(desc: Bench) -> None:
    (desc.files.folder / "password").write_text("Wrong-password-1!", encoding="ascii")
    found = await desc.run()
    assert all("refused" in source.problem for source in found.values())
    assert len([path for path in desc.writes() if path == "/api/v2/login/login"]) == 1
    assert "Wrong-password" not in repr(found)


@pytest.mark.parametrize(("dialect", "file"), [("desc", "evce-desc.json"), ("nested", "evce-nested.yaml")])
async def test_the_openapi_files_are_true_to_the_simulator(tmp_path: Path, dialect: str, file: str) -> None:
    """Every member that is answered stands in the schema, and every member that is required is answered."""
    api = read_openapi(OPENAPI / file)
    async with made(tmp_path, dialect) as bench:
        found = (await bench.run("evce"))["evce"]
    for answer in found.answers:
        if answer.problem:
            continue
        schema = api.answer("GET", answer.endpoint.path)
        assert schema is not None
        for row in rows_of(shape_of(answer.document)):
            assert walk(row.path, schema).missing == (), answer.endpoint.path
        if isinstance(answer.document, dict):
            assert schema.required <= answer.document.keys()
