"""What a monitoring system may know of a running gateway, gathered when it asks.

Rules of this file: labels are bounded (sources, states, functions, hint ids; never points, clients or users), and
nothing here is a secret or a text from a product.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Protocol

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from gateway import __version__
from gateway.addressing.builtin import LAYOUT_VERSION
from gateway.core.circuit import SourceState
from gateway.core.histogram import Histogram
from gateway.core.value import Quality
from gateway.core.write_status import WriteStatus
from gateway.servers.bacnet import BacnetServer
from gateway.servers.modbus import ModbusServer

if TYPE_CHECKING:
    from gateway.app.plant import Plant
    from gateway.engine.poller import Poller

PREFIX = "evce_gateway_"
UNDER_WAY = frozenset(
    {WriteStatus.PENDING, WriteStatus.SENDING, WriteStatus.VERIFYING, WriteStatus.RETRYING, WriteStatus.BLOCKED}
)
RECENT_S = 300.0
Samples = Iterable[tuple[Sequence[str], float]]
"""Label values, and what is measured under them."""


class Servers(Protocol):
    """Whoever listens, None for one that is not configured."""

    modbus: ModbusServer | None
    bacnet: BacnetServer | None


class Metrics(Collector):
    """Everything about one gateway; `render` gives the text of a scrape."""

    def __init__(self, plant: Plant, servers: Servers) -> None:
        self._plant, self._servers = plant, servers
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def render(self) -> bytes:
        """Prometheus' text exposition format."""
        return generate_latest(self._registry)

    def describe(self) -> Iterable[Metric]:
        """Nothing: the registry need not look before a gateway runs."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Every family with its samples of now."""
        yield from self._gateway()
        yield from _sources(self._plant.pollers, self._plant.clock.monotonic())
        yield from self._commands()
        yield from self._clients()
        modbus, bacnet = self._servers.modbus, self._servers.bacnet
        if modbus is not None:
            yield from _modbus(modbus)
        if bacnet is not None:
            yield from _bacnet(bacnet)

    def _gateway(self) -> Iterator[Metric]:
        plant = self._plant
        info = {"version": __version__, "map_hash": f"{plant.map_hash():016x}", "layout": str(LAYOUT_VERSION)}
        yield InfoMetricFamily(f"{PREFIX}build", "version, layout and hash of the map that is served", value=info)
        yield _gauge("uptime_seconds", "seconds since the start", plant.vitals.uptime_s)
        yield _gauge("alarms", "alarms that stand", plant.vitals.alarms_active())
        yield _gauge("dry_run", "1: nothing is sent to any product", float(plant.desk.policy.dry_run))
        yield _gauge("read_only", "1: every command is refused", float(plant.desk.policy.read_only))
        yield _histogram("loop_lag_seconds", "how late the event loop is", [((), plant.lag.histogram)])
        yield _gauge("loop_lag_worst_seconds", "the longest of the last minute", plant.lag.worst_s)
        yield _counter("loop_overruns", "times that the loop was late by more than 100 ms", [((), plant.lag.overruns)])
        qualities = plant.table.qualities()
        counts = {(quality.name.lower(),): qualities[quality] for quality in Quality}
        yield _gauges("points", "points by quality", counts.items(), ("quality",))

    def _commands(self) -> Iterator[Metric]:
        plant, journal = self._plant, self._plant.journal
        deliveries = plant.desk.deliveries()
        states = Counter(status for status, _ in deliveries)
        counts = {(status.name.lower(),): states[status] for status in WriteStatus}
        yield _gauges("commands", "commandable points by write_status", counts.items(), ("write_status",))
        ages = [age for status, age in deliveries if status in UNDER_WAY and age is not None]
        yield _gauge("command_oldest_seconds", "age of the oldest command not yet in force", max(ages, default=0.0))
        text = "records of the evidence: accepted, refused, sent, verified, failsafe, ... by protocol"
        yield _counter("command_events", text, journal.events.items(), ("event", "protocol"))
        yield _histogram("journal_commit_seconds", "how long a command waited for the disk", [((), journal.commits)])
        yield _gauge("journal_waiting_seconds", "for how long the disk has not taken what waits", journal.waiting_s)
        yield _gauge("persistence_fault", "1: commands work, but may be lost", float(bool(plant.desk.fault)))

    def _clients(self) -> Iterator[Metric]:
        observatory = self._plant.observatory
        rows = observatory.clients()
        recent = Counter(row["protocol"] for row in rows if row["connections"] or row["last_seen_s"] < RECENT_S)
        counts = {(protocol,): recent[protocol] for protocol in ("modbus", "bacnet")}
        yield _gauges("clients", "connected, or heard in the last 5 min", counts.items(), ("protocol",))
        labels = ("protocol", "function")
        yield _counter("requests", "requests by function code or service", observatory.requests.items(), labels)
        yield _counter(
            "exceptions", "answers that were refusals, by code", observatory.refusals.items(), ("protocol", "code")
        )
        standing = {(name,): count for name, count in observatory.standing().items()}
        yield _gauges("hints", "hints about clients that stand, by id", standing.items(), ("hint",))
        given = {(name,): count for name, count in observatory.given.items()}
        yield _counter("hints_given", "hints that came since the start", given.items(), ("hint",))


def _sources(pollers: Mapping[str, Poller], now: float) -> Iterator[Metric]:
    health = {name: poller.health for name, poller in pollers.items()}
    up = {(name,): float(each.connected) for name, each in health.items()}
    yield _gauges("source_up", "1: logged in and answering", up.items(), ("source",))
    states = {(name, state.value): float(each.state is state) for name, each in health.items() for state in SourceState}
    yield _gauges("source_state", "1 for the state the session is in", states.items(), ("source", "state"))
    answered = {(name,): each.answered for name, each in health.items()}
    yield _histogram("source_poll_seconds", "how long good answers took", answered.items(), ("source",))
    for name, text, counts in (
        ("source_errors", "requests that failed", {(n,): each.errors for n, each in health.items()}),
        ("source_overruns", "polls longer than their period", {(n,): each.overruns for n, each in health.items()}),
        ("source_relogins", "logins after a lost session", {(n,): each.relogins for n, each in health.items()}),
    ):
        yield _counter(name, text, counts.items(), ("source",))
    ages = {(n,): now - each.last_good for n, each in health.items() if each.last_good is not None}
    yield _gauges("source_last_good_seconds", "seconds since the last good answer", ages.items(), ("source",))
    sessions = {(n,): age for n, poller in pollers.items() if (age := poller.source.session_age_s) is not None}
    yield _gauges("source_session_seconds", "age of the session", sessions.items(), ("source",))
    failing = {(name,): len(poller.failing) for name, poller in pollers.items()}
    yield _gauges("source_failing_requests", "kinds of request that do not work", failing.items(), ("source",))
    ends = {(n,): end for n, poller in pollers.items() if (end := poller.source.certificate_ends) is not None}
    yield _gauges("source_certificate_end_timestamp_seconds", "when its certificate ends", ends.items(), ("source",))


def _modbus(server: ModbusServer) -> Iterator[Metric]:
    counters = asdict(server.counters)
    yield _counter("modbus_writes", "accepted write requests", [((), counters.pop("writes"))])
    for name in ("requests", "exceptions"):
        counters.pop(name)
    events = {(name,): count for name, count in counters.items()}
    yield _counter("modbus_events", "what happened to connections and frames", events.items(), ("event",))
    yield _gauge("modbus_connections", "open connections", len(server.clients))


def _bacnet(server: BacnetServer) -> Iterator[Metric]:
    counters = server.counters
    yield _counter("bacnet_writes", "accepted property writes", [((), counters["writes"])])
    yield _counter("bacnet_errors", "answers that were Error, Reject or Abort", [((), counters["errors"])])
    yield _counter("bacnet_dropped", "datagrams without an answer: malformed, or too many", [((), counters["dropped"])])
    yield _counter("bacnet_notifications", "COV notifications sent", [((), counters["notifications"])])
    yield _gauge("bacnet_subscriptions", "COV subscriptions that live", counters["subscriptions"])
    yield _gauge("bacnet_objects", "objects served", counters["objects"])


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(PREFIX + name, text, value=value)


def _gauges(name: str, text: str, values: Samples, labels: tuple[str, ...]) -> Metric:
    family = GaugeMetricFamily(PREFIX + name, text, labels=labels)
    for key, value in values:
        family.add_metric(key, value)
    return family


def _counter(name: str, text: str, values: Samples, labels: tuple[str, ...] = ()) -> Metric:
    family = CounterMetricFamily(PREFIX + name, text, labels=labels)
    for key, value in values:
        family.add_metric(key, value)
    return family


def _histogram(
    name: str, text: str, values: Iterable[tuple[Sequence[str], Histogram]], labels: tuple[str, ...] = ()
) -> Metric:
    family = HistogramMetricFamily(PREFIX + name, text, labels=labels)
    for key, found in values:
        buckets = [(f"{bound:g}", float(count)) for bound, count in found.cumulative()]
        family.add_metric(key, [*buckets, ("+Inf", float(found.count))], sum_value=found.total_s)
    return family
