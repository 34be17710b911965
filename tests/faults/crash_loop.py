"""The gateway killed again and again in the middle of its work, and judged by what the product then holds.

    python -m tests.faults.crash_loop --rounds 200 [--seed 1] [--dialect desc|nested]

Each round: clients write and release limits at random over Modbus and BACnet while the product's ids may change; the
real process is killed (SIGKILL) after 0 to 3 s, now and then once more while it starts; after the restart the limit
that was last answered for every zone must come into force. An unanswered request leaves both outcomes possible. Also
judged: no point's address ever changes, the evidence chain verifies and holds every answered write, and no request
carried one zone's value to another zone's id. Prints a table; exits 1 when anything was lost, moved, wrong or broken.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shutil
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

from gateway.checkout import BacnetClient, BacnetError, ModbusClient, ModbusError
from gateway.simulator import EvceSimulator
from gateway.store.evidence import EvidenceBook, Wanted
from gateway.web import ControlError, ask_daemon
from tests.faults.asked import Held, Slot, Zone
from tests.faults.score import Score, report
from tests.site import free_port, site_files

ZONES = 3
MODBUS_SLOT, BACNET_SLOTS = 10, (7, 12)
LONGEST_RUN_S = 3.0
IN_FORCE_S = 25.0
START_S = 20.0
DEFINITE = (1, 2, 3)
"""Modbus exceptions that say for certain that nothing was changed."""


class Loop:
    """One site, its product in this process, and the gateway as a process that dies."""

    def __init__(self, folder: Path, evce: EvceSimulator, seed: int, modbus_port: int, bacnet_port: int) -> None:
        self.folder, self.evce, self.random = folder, evce, Random(seed)
        self.modbus_port, self.bacnet_port = modbus_port, bacnet_port
        self.score = Score()
        names = [zone.name for zone in evce.site.zones.values()]
        self.zones = [
            Zone(name, i, len(names), {number: Slot() for number in (MODBUS_SLOT, *BACNET_SLOTS)})
            for i, name in enumerate(names)
        ]
        self._values = {zone.name: zone.values() for zone in self.zones}
        self._names = {zone.id: zone.name for zone in evce.site.zones.values()}
        self._judged = 0
        self._places: dict[str, tuple[Any, Any]] = {}
        self._child: asyncio.subprocess.Process | None = None

    # -- the process -------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """A new process; it may still be starting when this returns."""
        with (self.folder / "log").open("ab") as log:
            self._child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "gateway", "run", "-c", str(self.folder / "config.yaml")),
                stderr=log,
                env={key: value for key, value in os.environ.items() if key != "RUNTIME_DIRECTORY"},
            )

    async def kill(self) -> None:
        """SIGKILL."""
        child = self._child
        if child is not None:
            if child.returncode is None:
                child.kill()
                self.score.kills += 1
            else:
                self.score.found(
                    "failed_starts", f"the gateway ended by itself with {child.returncode}: {self._log_end()}"
                )
            await child.wait()
        self._child = None

    async def _ask(self, method: str, what: str, body: dict[str, Any] | None = None) -> Any:
        return await ask_daemon(self.folder / "state" / "control.sock", method, what, body)

    def _log_end(self) -> list[str]:
        return (self.folder / "log").read_text(encoding="utf-8").splitlines()[-4:]

    # -- clients -----------------------------------------------------------------------------------------------------

    async def write_until_killed(self, seconds: float) -> None:
        """Both clients write until the gateway is killed under their hands."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(task) for task in (self._modbus(), self._bacnet(), self._installer())]
            await asyncio.sleep(seconds)
            await self.kill()
            self.evce.faults.clear()
            for task in tasks:
                task.cancel()

    def _next(self, numbers: tuple[int, ...]) -> tuple[Zone, int, Held]:
        zone, number = self.random.choice(self.zones), self.random.choice(numbers)
        return zone, number, None if self.random.random() < 0.3 else next(self._values[zone.name])

    async def _modbus(self) -> None:
        while self._child is not None:
            with contextlib.suppress(OSError):
                async with ModbusClient("127.0.0.1", self.modbus_port) as client:
                    while self._child is not None and await self._one_modbus(client):
                        await asyncio.sleep(self.random.choice((0.0, 0.0, 0.01, 0.1)))
            await asyncio.sleep(0.02)

    async def _one_modbus(self, client: ModbusClient) -> bool:
        zone, number, value = self._next((MODBUS_SLOT,))
        point = f"evce/zone/{zone.name}/reduction"
        slot = zone.slots[number]
        slot.asked(value)
        try:
            if value is None:
                await client.write(self._places[f"{point}.release"][0], b"\x00\x01")
            else:
                await client.write_float(self._places[point][0], value)
        except ModbusError as error:
            self._not_accepted(slot, certain=error.code in DEFINITE)
            return error.code != 0
        except asyncio.CancelledError:
            self._not_accepted(slot, certain=False)
            raise
        self._accepted(zone, slot, value)
        return True

    async def _bacnet(self) -> None:
        async with BacnetClient("127.0.0.1", self.bacnet_port) as client:
            while self._child is not None:
                zone, number, value = self._next(BACNET_SLOTS)
                slot, instance = zone.slots[number], self._places[f"evce/zone/{zone.name}/reduction"][1]
                slot.asked(value)
                try:
                    await client.write_real("analog-value", instance, value, number)
                except BacnetError:
                    self._not_accepted(slot, certain=False)
                except asyncio.CancelledError:
                    self._not_accepted(slot, certain=False)
                    raise
                else:
                    self._accepted(zone, slot, value)
                await asyncio.sleep(self.random.choice((0.0, 0.01, 0.1)))

    def _accepted(self, zone: Zone, slot: Slot, value: Held) -> None:
        slot.accepted()
        self.score.accepted += 1
        if value is not None:
            zone.told[value] += 1

    def _not_accepted(self, slot: Slot, *, certain: bool) -> None:
        if certain:
            slot.refused()
            self.score.refused += 1
        else:
            self.score.unanswered += 1

    async def _installer(self) -> None:
        """Now and then the product answers slowly what it has done at once, or every id changes by a new import."""
        if self.random.random() < 0.3:
            self.evce.faults.add("/em/zones/*/reduction", method="PUT", body="{}", trickle_s=self.random.uniform(0, 1))
        if self.random.random() < 0.2:
            await asyncio.sleep(self.random.uniform(0.0, LONGEST_RUN_S / 2))
            await self.evce.do("import")
            self.score.imports += 1
            self._names |= {zone.id: zone.name for zone in self.evce.site.zones.values()}

    # -- judging -----------------------------------------------------------------------------------------------------

    async def judge(self) -> None:
        """After a restart: every zone, every address, the evidence, and what was sent meanwhile."""
        began = time.monotonic()
        while time.monotonic() - began < IN_FORCE_S and self._wrong():
            await asyncio.sleep(0.05)
        self.score.in_force_s.append(time.monotonic() - began)
        for zone, held in self._wrong().items():
            self.score.found("lost", await self._describe(zone, held))
        await self.look_at_addresses()
        self._judge_evidence()
        self._judge_puts()

    def _wrong(self) -> dict[str, Held]:
        found = {zone.name: _held(zone.reduction) for zone in self.evce.site.zones.values()}
        return {zone.name: found[zone.name] for zone in self.zones if found[zone.name] not in zone.allowed()}

    async def _describe(self, name: str, held: Held) -> str:
        allowed = next(sorted(zone.allowed(), key=str) for zone in self.zones if zone.name == name)
        text = f"{name} holds {held} upstream, but {allowed} was told"
        with contextlib.suppress(ControlError):
            row = await self._ask("POST", "/read", {"point": f"evce/zone/{name}/reduction"})
            text += f"; the gateway: slots {row['slots']}, receipt {row['receipt']}"
        return text

    async def look_at_addresses(self) -> None:
        """All places, when the gateway answers; the first look says what is right."""
        deadline = time.monotonic() + START_S
        while True:
            try:
                rows = await self._ask("GET", "/points")
            except ControlError:
                if time.monotonic() > deadline or self._child is None or self._child.returncode is not None:
                    self.score.found("failed_starts", f"the gateway does not answer: {self._log_end()}")
                    return
                await asyncio.sleep(0.05)
                continue
            places = {
                row["point"]: (row["modbus"] and row["modbus"]["register"], row["bacnet"] and row["bacnet"]["instance"])
                for row in rows
            }
            for point, place in self._places.items():
                if point in places and places[point] != place:
                    self.score.found("moved", f"{point} was at {place} and is at {places[point]}")
            self._places = {**places, **self._places}
            return

    def _judge_evidence(self) -> None:
        book = EvidenceBook(self.folder / "state")
        verdict = book.verify()
        if verdict.broken:
            self.score.found("broken", f"evidence at record {verdict.at}: {verdict.broken}")
            return
        kept = Counter(
            (record["point"], float(record["new"]))
            for record in book.records(Wanted(event="accepted"))
            if record["new"]
        )
        for zone in self.zones:
            point = f"evce/zone/{zone.name}/reduction"
            missing = {value: count for value, count in zone.told.items() if kept[point, value] < count}
            if missing:
                self.score.found("unrecorded", f"{point}: answered, and without a record: {missing}")
                zone.told = Counter({value: kept[point, value] for value in zone.told})

    def _judge_puts(self) -> None:
        owners = {zone.name: zone for zone in self.zones}
        received = self.evce.received[self._judged :]
        self._judged += len(received)
        for item in received:
            if item.method != "PUT" or not item.path.endswith("/reduction"):
                continue
            self.score.puts += 1
            value = _carried(item.body)
            name = self._names.get(int(item.path.rsplit("/", 2)[1]), "")
            if name not in owners or (value is not None and not owners[name].owns(value)):
                self.score.found("wrong_zone", f"{item.path} ({name}) received {item.body}")

    # -- the rounds --------------------------------------------------------------------------------------------------

    async def run(self, rounds: int) -> Score:
        """All rounds; the gateway is killed at the end."""
        try:
            await self.start()
            await self.look_at_addresses()
            await self._settle()
            for _ in range(rounds):
                self.score.rounds += 1
                lines = self._faults_logged()
                await self.write_until_killed(self.random.uniform(0.0, LONGEST_RUN_S))
                if self._faults_logged() > lines:
                    self.score.faulted += 1
                while self.random.random() < 0.3:
                    await self.start()
                    await asyncio.sleep(self.random.uniform(0.0, 1.0))
                    await self.kill()
                await self.start()
                await self.judge()
        finally:
            if self._child is not None and self._child.returncode is None:
                self._child.kill()
                await self._child.wait()
        return self.score

    async def _settle(self) -> None:
        """Waits until the zones' points have their places."""
        deadline = time.monotonic() + START_S
        while f"evce/zone/{self.zones[-1].name}/reduction" not in self._places:
            if time.monotonic() > deadline:
                raise RuntimeError(f"the gateway does not find the zones: {self._log_end()}")
            await asyncio.sleep(0.1)
            await self.look_at_addresses()

    def _faults_logged(self) -> int:
        return (self.folder / "log").read_text(encoding="utf-8").count("journal.fault")


def _held(reduction: Any) -> Held:
    return None if reduction.kind == "none" else reduction.value_a


def _carried(body: Any) -> Held:
    """The limit of a request in A, in either dialect; None for a release."""
    if body.get("type") == "current":
        return float(body["value"])
    return body["limit_da"] / 10 if body.get("kind") == "absolute" else None


@contextlib.asynccontextmanager
async def looping(folder: Path, dialect: str, seed: int) -> AsyncIterator[Loop]:
    """A site in the folder, and its product."""
    async with EvceSimulator(dialect=dialect, stations=4, zones=ZONES, meters=1, seed=seed) as evce:
        files = site_files(folder, evce, [], dialect)
        modbus, bacnet = free_port(socket.SOCK_STREAM), free_port()
        files.data["modbus"]["listen"] = f"127.0.0.1:{modbus}"
        files.data["bacnet"]["address"] = f"127.0.0.1/8:{bacnet}"
        files.write()
        yield Loop(folder, evce, seed, modbus, bacnet)


async def crash(folder: Path, rounds: int, seed: int, dialect: str) -> Score:
    """Runs the rounds in a folder."""
    async with looping(folder, dialect, seed) as loop:
        return await loop.run(rounds)


def main() -> int:
    """Prints the table; 1 when there was a finding."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dialect", choices=("desc", "nested"), default="desc")
    given = parser.parse_args()
    folder, began = Path(tempfile.mkdtemp(prefix="evce-crash-")), time.monotonic()
    score = asyncio.run(crash(folder, given.rounds, given.seed, given.dialect))
    sys.stdout.write(report(score, time.monotonic() - began) + "\n")
    if score.findings:
        sys.stdout.write(f"the site is kept in {folder}\n")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
