"""Notification Class objects: how urgent alarms are, who has to see them, and who is told (ASHRAE 135 clause 12.21).

Rules of this file: Recipient_List is what clients of the write networks change, and what they wrote outlives a restart,
until the configuration says another list; each device shows the same classes, and they are one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.core.priority import Origin
from gateway.servers.bacnet import codec
from gateway.servers.bacnet.destinations import Destination, decode
from gateway.servers.bacnet.device import FixedRecord
from gateway.servers.bacnet.objects import Items
from gateway.servers.bacnet.standard import (
    LIST_ELEMENT_NOT_FOUND,
    NO_SPACE_TO_ADD_LIST_ELEMENT,
    Prop,
    Refusal,
    object_key,
)

log = logging.getLogger(__name__)
MOST_RECIPIENTS = 64
"""Of one class; a list of more does not fit one answer of small devices, and nobody has so many BMS."""


@dataclass(frozen=True, slots=True)
class ClassConfig:
    """A class as the operator settled it; `priority` (0 most urgent .. 255) and `ack_required` are by Transition."""

    instance: int = 1
    name: str = "Alarms"
    priority: tuple[int, int, int] = (64, 128, 192)
    ack_required: tuple[bool, bool, bool] = (True, False, False)
    recipients: tuple[Destination, ...] = ()


@dataclass(frozen=True, slots=True)
class ListKeeper:
    """Where written Recipient_Lists are kept: `saved` by instance is what the last run gave to `save`.

    `save` also gets who changed the list, None for nobody, and the lists before and after in words.
    """

    saved: Mapping[int, Mapping[str, Any]]
    save: Callable[[int, Mapping[str, Any], Origin, str, str], None]


class NotificationClass:
    """One class: its terms, and its Recipient_List of now."""

    def __init__(self, config: ClassConfig, keeper: ListKeeper) -> None:
        self.config = config
        self._keeper = keeper
        self._configured = b"".join(item.octets for item in config.recipients).hex()
        self.recipients: list[Destination] = list(config.recipients)
        saved = keeper.saved.get(config.instance)
        if saved is not None:
            self._restore(saved)

    def _restore(self, saved: Mapping[str, Any]) -> None:
        if saved["configured"] == self._configured:
            self.recipients = decode(bytes.fromhex(saved["written"]))
        else:
            text = "bacnet: the configuration has new recipients for notification class %d; a client's list is dropped"
            log.warning(text, self.config.instance)

    @property
    def octets(self) -> bytes:
        """Recipient_List."""
        return b"".join(item.octets for item in self.recipients)

    def write(self, data: bytes, origin: Origin) -> None:
        """Replaces the list.

        Raises:
            Malformed, Refusal: it is no such list, or too long.
        """
        self._take(list(dict.fromkeys(decode(data))), origin)

    def add(self, data: bytes, origin: Origin) -> None:
        """Adds entries; those that are there already stay (clause 15.1). Raises as `write`."""
        self._take(list(dict.fromkeys([*self.recipients, *decode(data)])), origin)

    def remove(self, data: bytes, origin: Origin) -> None:
        """Removes entries, all or none (clause 15.2). Raises as `write`, also for one that is not there."""
        gone = decode(data)
        if not all(item in self.recipients for item in gone):
            raise Refusal(LIST_ELEMENT_NOT_FOUND)
        self._take([item for item in self.recipients if item not in gone], origin)

    def _take(self, recipients: list[Destination], origin: Origin) -> None:
        if len(recipients) > MOST_RECIPIENTS:
            raise Refusal(NO_SPACE_TO_ADD_LIST_ELEMENT)
        old, self.recipients = self.recipients, recipients
        if old != recipients:
            state = {"configured": self._configured, "written": self.octets.hex()}
            self._keeper.save(self.config.instance, state, origin, _words(old), _words(recipients))


def _words(recipients: Sequence[Destination]) -> str:
    return ", ".join(map(str, recipients)) or "nobody"


class NotificationClasses:
    """All classes by instance."""

    def __init__(self, configs: Sequence[ClassConfig], keeper: ListKeeper) -> None:
        self._keeper = keeper
        self.take_over(configs)

    def take_over(self, configs: Sequence[ClassConfig]) -> None:
        """These from now on; a list that a client wrote stays if that of the configuration is what it was."""
        self._by_instance = {config.instance: NotificationClass(config, self._keeper) for config in configs}

    def __iter__(self) -> Iterator[NotificationClass]:
        return iter(self._by_instance.values())

    def get(self, instance: int) -> NotificationClass | None:
        """The class with this number."""
        return self._by_instance.get(instance)

    @property
    def configs(self) -> list[ClassConfig]:
        """What the operator settled of each."""
        return [each.config for each in self]

    def records(self) -> list[ClassRecord]:
        """A Notification Class object for each, for one more device."""
        return [ClassRecord(each) for each in self]


class ClassRecord(FixedRecord):
    """A Notification Class object."""

    __slots__ = ("of",)

    arrays = frozenset({Prop.PROPERTY_LIST, Prop.PRIORITY})
    lists = frozenset({Prop.RECIPIENT_LIST})

    def __init__(self, of: NotificationClass) -> None:
        self.of = of
        config = of.config
        fixed: dict[int, bytes] = {
            Prop.NOTIFICATION_CLASS: codec.unsigned(config.instance),
            Prop.ACK_REQUIRED: codec.bits(config.ack_required),
            Prop.RECIPIENT_LIST: b"",
            Prop.DESCRIPTION: codec.text("Who is told of alarms: write Recipient_List"),
        }
        key = object_key("notification-class", config.instance)
        super().__init__(key, config.name, fixed, (Prop.PRIORITY,), {Prop.DESCRIPTION})

    def single(self, prop: int) -> bytes:
        return self.of.octets if prop == Prop.RECIPIENT_LIST else super().single(prop)

    def items(self, prop: int) -> Items:
        recipients = self.of.recipients
        return Items(len(recipients), lambda at: recipients[at].octets)

    def elements(self, prop: int) -> Sequence[bytes]:
        if prop == Prop.PRIORITY:
            return [codec.unsigned(priority) for priority in self.of.config.priority]
        return super().elements(prop)
