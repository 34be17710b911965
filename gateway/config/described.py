"""JSON Schema of config.yaml for editors: what a model's fields do not say themselves is said here, key by key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.config.models import Config

WORDS: Mapping[str, str] = {
    "site": "name of the site, shown to people; at most 120 characters",
    "state_dir": "folder for addresses, command state, evidence and session tokens",
    "sources": "one login to one product each; their order gives the header's words",
    "modbus": "the Modbus TCP server; left out: none",
    "bacnet": "the BACnet/IP server; left out: none",
    "web": "page, API, /healthz and /metrics; left out: none",
    "control": "what is allowed to be commanded, and what happens when the BMS goes silent",
    "BacnetConfig.device": "the gateway's own BACnet device",
    "BacnetConfig.object_name": "template of Object_Name: {source} {kind} {name} {point}",
    "BacnetDevice.instance": "device instance, 0..4194302, unique on the whole BACnet network",
    "BacnetDevice.name": "Object_Name of the device, unique on the whole BACnet network",
    "BacnetDevice.vendor_id": "vendor identifier that ASHRAE assigned",
    "ControlConfig.overrides": "other floor, lease or on_bms_loss by SOURCE/KIND/NAME",
    "ModbusClients.name": "name of the client group, shown in evidence and status",
    "ModbusConfig.listen": "ADDRESS:PORT of this machine, e.g. 10.0.0.5:502",
    "ModbusConfig.word_order": "big: the high word of a 32-bit value comes first; little: the low word",
    "ModbusConfig.byte_order": "big: the high byte of a register comes first, as the standard says",
    "ModbusConfig.max_connections": "connections of all clients together",
    "ModbusTls.key": "file of the private key that belongs to `certificate`",
    "Override.floor": "lowest limit that is accepted here, in the point's unit",
    "Override.allow_stop": "whether limits below the floor, 0 included, are accepted here",
    "Override.lease_s": "seconds a slot lives without a new write, or off",
    "Override.on_bms_loss": "what becomes of the slot when its lease ends: hold, release, or {value: X}",
    "SourceConfig.name": "unique; first part of every point's name",
    "SourceConfig.kind": "the product: evce or bender",
    "SourceConfig.url": "http(s)://HOST or http(s)://HOST:PORT, nothing after it",
    "SourceConfig.username": "a user of the gateway's own (EVCE: role EBMS, one session a user)",
    "SourceConfig.password": "where the password is: {credential: NAME}, {file: PATH} or {env: NAME}; never itself",
    "SourceConfig.tls": "how its certificate is recognised: ca_file, fingerprint or insecure; needed for https",
}
"""By `Model.key`, or `key` at the top."""


def config_schema() -> dict[str, Any]:
    """The schema an editor checks config.yaml with."""
    schema = Config.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **described(schema, WORDS)}


def described(schema: dict[str, Any], words: Mapping[str, str]) -> dict[str, Any]:
    """The schema with a text at each key of `words` that has none; models may end in `Whole` or `Part`."""
    models = {"": schema, **schema.get("$defs", {})}
    for name, model in models.items():
        plain = name.removesuffix("Whole").removesuffix("Part")
        for key, member in model.get("properties", {}).items():
            text = words.get(f"{plain}.{key}") if plain else words.get(key)
            if text is not None and not member.get("description"):
                member["description"] = text
    return schema
