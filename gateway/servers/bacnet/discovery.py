"""Who-Is and Who-Has (ASHRAE 135 clauses 16.9 and 16.10); pure."""

from __future__ import annotations

from typing import NamedTuple

from gateway.servers.bacnet import codec
from gateway.servers.bacnet.objects import Record
from gateway.servers.bacnet.standard import MAX_APDU, WILDCARD, Unconfirmed
from gateway.servers.bacnet.store import ObjectStore
from gateway.servers.bacnet.tags import Malformed, Tags, decode_text

SEGMENTED_BOTH = 0
UNCONFIRMED = 0x10


class Search(NamedTuple):
    """Who is asked, by device instances `low` to `high`, and for Who-Has which object: its identifier or its name."""

    low: int
    high: int
    key: int | None = None
    name: str | None = None

    def found(self, store: ObjectStore) -> Record | None:
        """The object that a Who-Has asks for."""
        if self.key is not None:
            return store.get(self.key)
        return store.find(self.name) if self.name is not None else None


def search(service: int, body: bytes) -> Search | None:
    """What a request looks for; None if it is no Who-Is or Who-Has, or malformed."""
    if service not in (Unconfirmed.WHO_IS, Unconfirmed.WHO_HAS):
        return None
    try:
        tags = Tags(body)
        low, high = (tags.number(0), tags.number(1)) if tags.has(0) else (0, WILDCARD)
        if high > WILDCARD:
            return None
        key = name = None
        if service == Unconfirmed.WHO_HAS:
            if tags.has(2):
                key = tags.key(2)
            else:
                name = decode_text(tags.context(3, 1, 1000))
        tags.finish()
    except Malformed:
        return None
    return Search(low, high, key, name)


def i_am(device: int, vendor_id: int) -> bytes:
    """An I-Am of the device with this identifier."""
    return b"".join(
        (
            bytes((UNCONFIRMED, Unconfirmed.I_AM)),
            codec.object_id(device),
            codec.unsigned(MAX_APDU),
            codec.enumerated(SEGMENTED_BOTH),
            codec.unsigned(vendor_id),
        )
    )


def i_have(device: int, record: Record) -> bytes:
    """An I-Have of a device."""
    head = bytes((UNCONFIRMED, Unconfirmed.I_HAVE))
    return head + codec.object_id(device) + codec.object_id(record.key) + codec.text(record.name)


class Discovery:
    """Answers of one device."""

    def __init__(self, store: ObjectStore, vendor_id: int) -> None:
        self._store = store
        self._vendor_id = vendor_id

    def i_am(self) -> bytes:
        """An I-Am."""
        return i_am(self._store.device.key, self._vendor_id)

    def answer(self, service: int, body: bytes) -> bytes | None:
        """The answer to an unconfirmed request, None if it is not for us or malformed."""
        wanted = search(service, body)
        if wanted is None or not wanted.low <= self._store.device.key & WILDCARD <= wanted.high:
            return None
        if service == Unconfirmed.WHO_IS:
            return self.i_am()
        record = wanted.found(self._store)
        return i_have(self._store.device.key, record) if record is not None else None
