"""Short forms of the calls of an independent client written in Rust (rusty-bacnet)."""

from __future__ import annotations

from rusty_bacnet import (
    BACnetClient,
    BacnetProtocolError,
    ObjectIdentifier,
    ObjectType,
    PropertyIdentifier,
    PropertyValue,
)

P, T = PropertyIdentifier, ObjectType
CURRENT = ObjectIdentifier(T.ANALOG_INPUT, 0)
ENERGY = ObjectIdentifier(T.ANALOG_INPUT, 1)
CHARGING = ObjectIdentifier(T.BINARY_INPUT, 0)
STATE = ObjectIdentifier(T.MULTI_STATE_INPUT, 0)
NOTE = ObjectIdentifier(T.CHARACTERSTRING_VALUE, 0)
LIMIT = ObjectIdentifier(T.ANALOG_VALUE, 7)
MODE = ObjectIdentifier(T.MULTI_STATE_VALUE, 7)
ENABLE = ObjectIdentifier(T.BINARY_OUTPUT, 7)
RELEASE = ObjectIdentifier(T.BINARY_VALUE, 7)
DEVICE = ObjectIdentifier(T.DEVICE, 260001)
PORT = ObjectIdentifier(T.NETWORK_PORT, 1)
ACCESS_DENIED, OUT_OF_RANGE, WRONG_TYPE = (2, 40), (2, 37), (2, 9)


class Rusty:
    """Short forms of the client's calls on one server."""

    def __init__(self, client: BACnetClient, address: str) -> None:
        self.client, self.address = client, address

    async def read(self, obj: ObjectIdentifier, prop: PropertyIdentifier, index: int | None = None) -> object:
        value = await self.client.read_property(self.address, obj, prop, index)
        return [each.value for each in value.value] if value.tag == "array" else value.value

    async def write(
        self,
        obj: ObjectIdentifier,
        value: PropertyValue,
        priority: int | None = None,
        prop: PropertyIdentifier = P.PRESENT_VALUE,
        index: int | None = None,
    ) -> tuple[int, int] | None:
        """The error's class and code, None if the write was accepted."""
        try:
            await self.client.write_property(self.address, obj, prop, value, priority, index)
        except BacnetProtocolError as error:
            return error.error_class, error.error_code
        return None

    async def state(self, obj: ObjectIdentifier) -> tuple[object, int, bytes]:
        """Present_Value, Reliability and the octet of Status_Flags."""
        flags = await self.read(obj, P.STATUS_FLAGS)
        return await self.read(obj, P.PRESENT_VALUE), await self.read(obj, P.RELIABILITY), flags["data"]
