"""The real gateway among products that fail in every way at once, for minutes; then it must be as before.

    python -m tests.faults.disturber [--minutes 10] [--seed 1] [--dialect desc|nested] [--verbose]

One EVCE behind a fault proxy and two Bender controllers, each disturbed by a random sequence of its own (the seed
gives the same sequences again; what coincides depends on the machine). At the end everything is left alone, the
gateway has the time to recover, and is judged: every point that was good is good, addresses.yaml is the same but for
ids, the limit is in force, descriptors, tasks, memory and log stayed within bounds, readers never waited, and it
stops and logs out in time. Exit code 0 or 1.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.simulator import EvceSimulator, Simulator
from gateway.web import ControlError
from tests.faults.events import BENDER, EVCE, TAKEN, Event, Target, choose
from tests.faults.plant import LIMIT_A, LIMITED, BrokenError, Plant, Reader, plant
from tests.faults.verdict import SLOWEST_READ_S, Verdict, good, judge_log, judge_process, without_ids

WARM_S = 12.0
RECOVERY_S = 150.0
"""After a back-off of 75 s at most: login, lists, and a status of every second."""
GAP_S = (2.0, 12.0)
TAKEN_AT, TAKEN_NEEDS_S = 0.15, 540.0
LOOK_S = 0.5
SETTLE_S, QUIET_S = 40.0, 3.0


@dataclass(frozen=True)
class Plan:
    """How to disturb; `brief` divides every duration and gap."""

    seconds: float = 600.0
    seed: int = 1
    dialect: str = "desc"
    brief: float = 1.0
    verbose: bool = False


async def run(folder: Path, plan: Plan) -> Verdict:
    """Disturbs, waits, and judges.

    Raises:
        BrokenError: the gateway did not come up before anything was disturbed, or it died.
    """
    async with plant(folder, plan.dialect, quick=plan.brief > 1) as site:
        try:
            return await _disturbed(site, plan)
        except ControlError as error:
            raise BrokenError(f"the gateway is gone ({error}); its log ends: {site.log()[-5:]}") from error


async def _disturbed(site: Plant, plan: Plan) -> Verdict:
    verdict = Verdict()
    await _settled(site)
    await site.limit()
    await asyncio.sleep(WARM_S / plan.brief)
    before, points, addresses = await site.status(), await site.points(), site.addresses()
    calm = len(site.log())
    targets = _targets(site, plan)
    reader = Reader(site.modbus_port)
    reading = asyncio.create_task(reader.run())  # noqa: TID251
    began = time.monotonic()
    await _disturb(targets, plan)
    took = time.monotonic() - began
    recovered_s = await _recovered(site, good(points), plan)
    reading.cancel()
    await asyncio.wait([reading])
    events = sum(sum(target.counts.values()) for target in targets)
    for target in targets:
        drawn = ", ".join(f"{count} {name}" for name, count in sorted(target.counts.items()))
        verdict.lines.append(f"      {target.name}: {drawn}")
    verdict.judge("recovered after", f"{recovered_s:.1f} s", fine=True)
    await _judge_site(verdict, site, points, addresses)
    judge_process(verdict, before["process"], (await site.status())["process"])
    judge_log(verdict, site.log()[calm:], took, events, plan.brief)
    verdict.judge(
        "Modbus reads", f"{reader.reads}, slowest {reader.slowest_s * 1000:.0f} ms", reader.slowest_s < SLOWEST_READ_S
    )
    verdict.judge("  without an answer", reader.failures[:3] or "none", not reader.failures)
    await _judge_stop(verdict, site)
    return verdict


async def _settled(site: Plant) -> None:
    """Waits until every source is connected and no further point has become good for some seconds."""
    deadline = time.monotonic() + SETTLE_S
    seen: set[str] = set()
    since = time.monotonic()
    while time.monotonic() < deadline:
        status, now_good = await site.status(), good(await site.points())
        if now_good != seen or not all(source["connected"] for source in status["sources"]):
            seen, since = now_good, time.monotonic()
        elif f"{LIMITED}.applied" in seen and time.monotonic() - since > QUIET_S:
            return
        await asyncio.sleep(LOOK_S)
    raise BrokenError(f"without a disturbance the site does not settle; its log ends: {site.log()[-5:]}")


def _targets(site: Plant, plan: Plan) -> list[Target]:
    over = asyncio.Event()
    products: list[tuple[str, Simulator]] = [("evce", site.evce)]
    products += [(f"garage-{number}", sim) for number, sim in enumerate(site.benders, 7)]
    return [
        Target(
            name,
            sim,
            site.proxy if isinstance(sim, EvceSimulator) else None,
            random.Random(f"{plan.seed} {name}"),
            plan.brief,
            over,
        )
        for name, sim in products
    ]


async def _disturb(targets: Sequence[Target], plan: Plan) -> None:
    """Every product in a sequence of its own until the time is over."""
    began = time.monotonic()

    async def one(target: Target) -> None:
        events = EVCE if target.proxy is not None else BENDER
        planned = TAKEN if target.name == "garage-8" and plan.seconds >= TAKEN_NEEDS_S else None
        while not target.over.is_set():
            await target.hold(*GAP_S)
            if target.over.is_set():
                return
            event: Event
            if planned is not None and time.monotonic() - began > TAKEN_AT * plan.seconds:
                event, planned = planned, None
                target.session_ends = [time.monotonic()] * event.sessions
                target.counts[event.name] = 1
            else:
                event = choose(target, events)
            if plan.verbose:
                sys.stderr.write(f"{time.strftime('%H:%M:%S')} {target.name}: {event.name}\n")
            await event.act(target)

    async with asyncio.TaskGroup() as group:
        for target in targets:
            group.create_task(one(target))
        await asyncio.sleep(plan.seconds)
        targets[0].over.set()


async def _recovered(site: Plant, wanted: set[str], plan: Plan) -> float:
    """Seconds until all is as it was and stays so for a while, or as long as is waited for it.

    A source that pauses for its own reasons (session taken, back-off) says for how long; that time is on top.
    """
    began = time.monotonic()
    pauses = [source["retry_in_s"] or 0.0 for source in (await site.status())["sources"]]
    patience = max(pauses) + RECOVERY_S
    since: float | None = None
    while time.monotonic() - began < patience:
        points = await site.points()
        if not wanted <= good(points) or not _in_force(points):
            since = None
        elif since is None:
            since = time.monotonic()
        elif time.monotonic() - since > WARM_S / plan.brief:
            return since - began
        await asyncio.sleep(LOOK_S)
    return time.monotonic() - began


def _in_force(points: dict[str, dict[str, Any]]) -> bool:
    return (points[LIMITED].get("receipt") or {}).get("write_status") == "in force"


async def _judge_site(verdict: Verdict, site: Plant, before: dict[str, dict[str, Any]], addresses: str) -> None:
    points = await site.points()
    lost = sorted(good(before) - good(points))
    shown = [f"{name}: {points[name]['reason']}" if name in points else f"{name}: gone" for name in lost[:5]]
    verdict.lines.append(f"      points: {len(points)}, good before: {len(good(before))}")
    verdict.judge("points good before and not now", f"{len(lost)} {shown or ''}".strip(), not lost)
    places = {name: (row["modbus"], row["bacnet"]) for name, row in before.items()}
    moved = [name for name, row in points.items() if places.get(name) != (row["modbus"], row["bacnet"])]
    verdict.judge("points moved or new", moved[:5] or "none", not moved and len(points) == len(before))
    same = without_ids(site.addresses()) == without_ids(addresses)
    verdict.judge("addresses.yaml but for ids", "the same" if same else "changed", same)
    held = site.evce.site.zone("Zone A").reduction
    told = f"{points[LIMITED].get('receipt')}; the product holds {held.kind} {held.value_a}"
    verdict.judge("the limit", told, _in_force(points) and held.kind == "current" and held.value_a == LIMIT_A)


async def _judge_stop(verdict: Verdict, site: Plant) -> None:
    code, seconds = await site.stop()
    verdict.judge("stopped", f"exit code {code} after {seconds:.1f} s", code == 0 and seconds <= 10.0)
    left = [name for name, open_ in (("evce", site.evce.accounts.session is not None), *_sessions(site)) if open_]
    verdict.judge("  sessions left at the products", left or "none", not left)


def _sessions(site: Plant) -> list[tuple[str, bool]]:
    return [
        (f"garage-{number}", sim.login.session is not None and not sim.login.session.web)
        for number, sim in enumerate(site.benders, 7)
    ]


def main() -> int:
    """Prints the report."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.disturber")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dialect", choices=("desc", "nested"), default="desc")
    parser.add_argument("--brief", type=float, default=1.0, help="divides every period, gap and duration")
    parser.add_argument("--verbose", action="store_true", help="says each event when it begins")
    parser.add_argument("--keep", type=Path, help="a folder for state and log, kept afterwards")
    given = parser.parse_args()
    plan = Plan(given.minutes * 60, given.seed, given.dialect, given.brief, given.verbose)
    with contextlib.ExitStack() as stack:
        folder = given.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="evce-disturber-")))
        folder.mkdir(parents=True, exist_ok=True)
        try:
            verdict = asyncio.run(run(folder, plan))
        except BrokenError as error:
            sys.stderr.write(f"{error}\n")
            return 1
    sys.stdout.write(f"seed {plan.seed}, {plan.seconds:.0f} s of disturbance, dialect {plan.dialect}\n")
    sys.stdout.write("\n".join(verdict.lines) + "\n")
    sys.stdout.write(
        "verdict: " + ("nothing was lost\n" if not verdict.problems else "; ".join(verdict.problems) + "\n")
    )
    return 1 if verdict.problems else 0


if __name__ == "__main__":
    sys.exit(main())
