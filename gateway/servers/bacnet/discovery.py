"""Who-Is and Who-Has (ASHRAE 135 clauses 16.9 and 16.10); pure."""

from __future__ import annotations

from gateway.servers.bacnet import codec
from gateway.servers.bacnet.objects import Record
from gateway.servers.bacnet.standard import MAX_APDU, WILDCARD, Unconfirmed
from gateway.servers.bacnet.store import ObjectStore
from gateway.servers.bacnet.tags import Malformed, Tags, decode_text

SEGMENTED_BOTH = 0
UNCONFIRMED = 0x10


class Discovery:
    """Answers of the one device."""

    def __init__(self, store: ObjectStore, vendor_id: int) -> None:
        self._store = store
        self._vendor_id = vendor_id

    def i_am(self) -> bytes:
        """An I-Am."""
        return b"".join(
            (
                bytes((UNCONFIRMED, Unconfirmed.I_AM)),
                codec.object_id(self._store.device.key),
                codec.unsigned(MAX_APDU),
                codec.enumerated(SEGMENTED_BOTH),
                codec.unsigned(self._vendor_id),
            )
        )

    def answer(self, service: int, body: bytes) -> bytes | None:
        """The answer to an unconfirmed request, None if it is not for us or malformed."""
        try:
            if service == Unconfirmed.WHO_IS:
                return self._who_is(Tags(body))
            return self._who_has(Tags(body)) if service == Unconfirmed.WHO_HAS else None
        except Malformed:
            return None

    def _who_is(self, tags: Tags) -> bytes | None:
        wanted = self._in_range(tags)
        tags.finish()
        return self.i_am() if wanted else None

    def _who_has(self, tags: Tags) -> bytes | None:
        wanted = self._in_range(tags)
        record: Record | None
        if tags.has(2):
            record = self._store.get(tags.key(2))
        else:
            name = decode_text(tags.context(3, 1, 1000))
            record = self._store.find(name) if name is not None else None
        tags.finish()
        if not wanted or record is None:
            return None
        head = bytes((UNCONFIRMED, Unconfirmed.I_HAVE))
        return head + codec.object_id(self._store.device.key) + codec.object_id(record.key) + codec.text(record.name)

    def _in_range(self, tags: Tags) -> bool:
        """Whether the optional instance range includes this device."""
        if not tags.has(0):
            return True
        low, high = tags.number(0), tags.number(1)
        return low <= self._store.device.key & WILDCARD <= high <= WILDCARD
