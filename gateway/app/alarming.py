"""Alarms of points, composed: notification classes of the configuration in the engine's words and in BACnet's."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address
from typing import Any

from gateway.config import LoadedConfig
from gateway.config.downstream import BacnetConfig
from gateway.config.notification import BACNET_PORT, DAYS, TRANSITIONS, NotificationClass, Recipient, TransitionName
from gateway.core.alarm import EventState, Transition, transition_to
from gateway.core.errors import Fault
from gateway.core.priority import Origin
from gateway.engine.point_alarms import DEFAULT_CLASSES, WORDS, ClassTerms, PointAlarms
from gateway.engine.ports import Evidence, Journal
from gateway.engine.table import PointTable
from gateway.mapping import LoadedMapping
from gateway.servers.bacnet import AlarmTerms, ClassConfig, Destination, ListKeeper

RECIPIENTS = "gateway/bacnet/recipients/"
"""The journal's keys of written Recipient_Lists begin so; the class's instance follows."""
MOST_SHOWN = 100


def class_terms(config: BacnetConfig | None) -> Mapping[int, ClassTerms]:
    """The classes as the engine needs them; those of a site without BACnet are acknowledged elsewhere."""
    if config is None:
        return DEFAULT_CLASSES
    return {each.instance: ClassTerms(_flags(each.ack)) for each in config.notification_classes}


def recipients_keeper(journal: Journal) -> ListKeeper:
    """Keeps the lists that clients write, in the journal and the evidence, for every server of this run."""
    restored = journal.restored()
    numbers = [key.removeprefix(RECIPIENTS) for key in restored if key.startswith(RECIPIENTS)]
    saved: dict[int, Mapping[str, Any]] = {int(number): restored[f"{RECIPIENTS}{number}"] for number in numbers}

    def save(instance: int, state: Mapping[str, Any], origin: Origin, old: str, new: str) -> None:
        saved[instance] = state
        record = Evidence("recipients", f"bacnet notification-class {instance}", origin, old=old, new=new)
        journal.note({f"{RECIPIENTS}{instance}": state}, (record,))

    return ListKeeper(saved, save)


def alarm_terms(config: BacnetConfig, desk: PointAlarms, keeper: ListKeeper) -> AlarmTerms:
    """What `bacnet:` settles about alarms."""
    return AlarmTerms(desk, keeper, [class_config(each) for each in config.notification_classes])


def class_config(model: NotificationClass) -> ClassConfig:
    """One class in BACnet's words."""
    return ClassConfig(
        instance=model.instance,
        name=model.name,
        priority=(model.priority[0], model.priority[1], model.priority[2]),
        ack_required=_flags(model.ack),
        recipients=tuple(map(_destination, model.recipients)),
    )


def _destination(model: Recipient) -> Destination:
    network, mac = model.network, bytes.fromhex(model.mac or "")
    if model.address not in (None, "broadcast"):
        host, _, port = str(model.address).partition(":")
        mac = IPv4Address(host).packed + int(port or BACNET_PORT).to_bytes(2, "big")
    begin, end = ([int(part) for part in clock.split(":")] for clock in (model.from_, model.to))
    return Destination(
        device=model.device,
        network=network,
        mac=mac,
        process=model.process,
        confirmed=model.confirmed,
        days=tuple(day in model.days for day in DAYS),
        hours=((begin[0], begin[1], 0, 0), (end[0], end[1], 59, 99)),
        transitions=_flags(model.transitions),
    )


def _flags(names: list[TransitionName]) -> tuple[bool, bool, bool]:
    off_normal, fault, normal = (name in names for name in TRANSITIONS)
    return off_normal, fault, normal


def open_alarms(desk: PointAlarms, table: PointTable) -> list[dict[str, Any]]:
    """Point alarms that stand or wait to be acknowledged, JSON-ready, the newest first; no faults nobody is told of."""
    rows: list[dict[str, Any]] = []
    for alarm in desk.open:
        waiting = [kind for kind in Transition if not alarm.acked[kind]]
        if alarm.state is EventState.FAULT and not alarm.spec.faults and not waiting:
            continue
        kind = waiting[0] if waiting else transition_to(alarm.state)
        rows.append(
            {
                "point": table.names[alarm.index],
                "state": WORDS[alarm.state],
                "at": alarm.times[kind],
                "acknowledged": not waiting,
                "text": alarm.texts[kind],
            }
        )
    return sorted(rows, key=lambda row: row["at"] or 0.0, reverse=True)[:MOST_SHOWN]


def class_faults(loaded: LoadedConfig, mappings: Mapping[str, LoadedMapping]) -> list[Fault]:
    """Alarms of mappings (by source) that name a notification class which there is not."""
    bacnet = loaded.config.bacnet
    if bacnet is None:
        return []
    known = {each.instance for each in bacnet.notification_classes}
    faults: dict[Fault, None] = {}
    for mapping in mappings.values():
        for kind in mapping.product.kinds.values():
            for point in kind.points.values():
                number = point.alarm.notify if point.alarm is not None else None
                if number is not None and number not in known:
                    text = f"there is no class {number} in bacnet.notification_classes of the configuration"
                    at = ("resources", kind.name, "points", point.name, "alarm", "class")
                    faults[mapping.document.fault(at, text)] = None
    return list(faults)
