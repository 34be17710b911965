"""A BMS in a network of its own: what rusty-bacnet finds by broadcast and reads through the router, as JSON on stdout.

Arguments: own address, broadcast address, number of devices to wait for, a virtual device, its analog-value.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from rusty_bacnet import (
    BACnetClient,
    BacnetProtocolError,
    ObjectIdentifier,
    ObjectType,
    PropertyIdentifier,
    PropertyValue,
)

P, T = PropertyIdentifier, ObjectType
PORT = 47808


async def converse(client: BACnetClient, count: int, device: int, instance: int) -> dict[str, Any]:
    for _ in range(10):
        found = await client.discover(1000)
        if len(found) >= count:
            break
    own = ObjectIdentifier(T.DEVICE, device)
    limit = ObjectIdentifier(T.ANALOG_VALUE, instance)
    routers = await client.discover_routers(None, 700)
    wanted = [(limit, [(P.OBJECT_NAME, None), (P.STATUS_FLAGS, None), (P.PRIORITY_ARRAY, None)])]
    await client.read_property_multiple_from_device(device, wanted)
    objects = await client.read_property_from_device(device, own, P.OBJECT_LIST)
    try:
        await client.write_property_to_device(device, limit, P.PRESENT_VALUE, PropertyValue.real(20.0), 8)
        written: Any = "accepted"
    except BacnetProtocolError as error:
        written = [error.error_class, error.error_code]
    return {
        "devices": {each.object_identifier.instance: each.source_network for each in found},
        "routers": [router.networks for router in routers],
        "name": (await client.read_property_from_device(device, own, P.OBJECT_NAME)).value,
        "objects": len(objects.value),
        "written": written,
    }


async def main() -> None:
    address, broadcast, count, device, instance = sys.argv[1:]
    async with BACnetClient(address, PORT, broadcast, 3000) as client:
        found = await converse(client, int(count), int(device), int(instance))
    sys.stdout.write(json.dumps(found))


asyncio.run(main())
