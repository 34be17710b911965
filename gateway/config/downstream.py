"""The part of config.yaml about those who read and write here: Modbus TCP and BACnet/IP."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from gateway.config.check import Strict, WrongKeyError
from gateway.config.fields import Listen, Name, Networks, Secret
from gateway.config.notification import NotificationClass, default_classes
from gateway.config.supervision import Lease, OnBmsLoss
from gateway.core.point import MOST_DEVICES

LEASE_TEXT = "seconds a write lives unrefreshed, or off; not said: what a mapping or `control` says"
LOSS_TEXT = "when a lease ends: hold, release or {value: X}; not said: what a mapping or `control` says"


def _bacnet_address(value: str) -> str:
    match = re.fullmatch(r"([0-9.]+)/([0-9]{1,2})(?::([0-9]{1,5}))?", value)
    try:
        if match is None:
            raise ValueError
        ipaddress.ip_interface(f"{match[1]}/{match[2]}")
    except ValueError:
        raise ValueError("must be ADDRESS/MASK:PORT, e.g. 10.0.0.5/24:47808") from None
    if match[3] and not 1 <= int(match[3]) <= 65535:
        raise ValueError("the port must be 1..65535")
    return value


class ModbusClients(Strict):
    """A group of Modbus clients."""

    name: Name
    allow: Networks = Field(min_length=1, description="addresses or networks, e.g. 10.0.0.0/24")
    slot: int = Field(10, ge=1, le=16, description="priority slot its writes stand for (1 highest, not 6)")
    write: bool = Field(False, description="false: reads only")
    gaps: Literal["fill", "strict"] = Field("fill", description="strict: gaps answer exception 02")
    lease_s: Lease | None = Field(None, description=LEASE_TEXT)
    on_bms_loss: OnBmsLoss | None = Field(None, description=LOSS_TEXT)
    heartbeat: bool = Field(False, description="true: only a changing heartbeat register keeps its leases alive")
    shared: bool = Field(False, description="true: another group may write the same slot, if it says so too")
    answer_within_s: float = Field(
        2.0, ge=0.1, le=30, description="a write that is not accepted within so many seconds is answered 06"
    )
    max_requests_per_s: float | None = Field(
        None, gt=0, le=100_000, description="cap of each address; what is beyond it waits; left out: none"
    )

    @model_validator(mode="after")
    def _whole(self) -> ModbusClients:
        if self.slot == 6:
            raise WrongKeyError("slot", "slot 6 is reserved by BACnet (minimum on/off)")
        for key in ("lease_s", "on_bms_loss", "heartbeat", "shared"):
            if not self.write and getattr(self, key) not in (None, False, "off"):
                raise WrongKeyError(key, "this group only reads; say write: true, or leave this out")
        return self


class KeyFile(Strict):
    """Where a private key is; exactly one of the two."""

    credential: str | None = Field(None, description="name of a systemd credential (LoadCredential=)")
    file: str | None = Field(None, description="a PEM file, relative to this file")

    @model_validator(mode="after")
    def _one(self) -> KeyFile:
        if (self.credential is None) == (self.file is None):
            raise ValueError("say exactly one of credential, file")
        return self


class ModbusTls(Strict):
    """Modbus/TCP Security: a second listener, for clients with certificates of the site's authority."""

    listen: Listen = Field(description="ADDRESS:PORT; the registered port is 802")
    certificate: str = Field(description="PEM file of this gateway's certificate, with its chain")
    key: KeyFile
    client_ca: str = Field(description="PEM file of the authority whose clients may connect")
    roles: dict[str, Name] = Field(
        min_length=1, description="role in the client's certificate (1.3.6.1.4.1.50316.802.1): name of a client group"
    )


class ModbusConfig(Strict):
    """The Modbus TCP server."""

    listen: Listen = "127.0.0.1:502"
    units: Literal["one", "per_source", "per_resource"] = Field(
        "one",
        description="one: a single unit for everything; per_source: one for each source; per_resource: one for the "
        "gateway and one for each resource that does not live inside another",
    )
    unit: int = Field(1, ge=1, le=247, description="the unit, or the first; the gateway's own with per_resource")
    word_order: Literal["big", "little"] = "big"
    byte_order: Literal["big", "little"] = "big"
    max_connections: int = Field(32, ge=1, le=1000)
    max_per_address: int = Field(16, ge=1, le=1000, description="connections of one address")
    tls: ModbusTls | None = Field(None, description="left out: the plain port only")
    clients: list[ModbusClients] = Field(
        default_factory=list, description="who may connect; empty: this machine only, reading only"
    )


class BacnetDevice(Strict):
    """The Device object."""

    instance: int = Field(ge=0, le=4194302)
    name: str = Field("EV Gateway", min_length=1, max_length=64)
    vendor_id: int = Field(999, ge=0, le=65535)


class BacnetForeign(Strict):
    """Registration as a foreign device, for a BMS in another subnet."""

    bbmd: Listen = Field(description="ADDRESS:PORT of the BBMD in the BMS's subnet, e.g. 10.0.0.1:47808")
    ttl: int = Field(60, ge=10, le=65535, description="seconds the BBMD keeps the registration; renewed at half")

    @model_validator(mode="after")
    def _ipv4(self) -> BacnetForeign:
        if self.bbmd.startswith("[") or self.bbmd.endswith(":0"):
            raise WrongKeyError("bbmd", "must be an IPv4 address and a port, e.g. 10.0.0.1:47808")
        return self


class BacnetConfig(Strict):
    """The BACnet/IP server."""

    address: Annotated[str, AfterValidator(_bacnet_address)] = Field(
        description="ADDRESS/MASK:PORT; the mask gives the broadcast address"
    )
    device: BacnetDevice
    devices: Literal["one", "per_resource"] = Field(
        "one",
        description="one: a single device for everything; per_resource: beside the gateway's own device one virtual "
        "device for each resource that does not live inside another, behind the gateway as their router",
    )
    network: int | None = Field(
        None, ge=1, le=65534, description="with per_resource: number of the virtual network, unique on the site"
    )
    first_instance: int | None = Field(
        None,
        ge=0,
        le=4194303 - MOST_DEVICES,
        description=f"with per_resource: the first virtual device; {MOST_DEVICES:,} numbers from it on are theirs",
    )
    device_name: str = Field(
        "{source}.{kind}.{name}", description="with per_resource: name of a virtual device, unique on the network"
    )
    ip_network: int | None = Field(
        None, ge=1, le=65534, description="with per_resource: number of the BACnet/IP network, if the site gave it one"
    )
    object_name: str = "{source}.{name}.{point}"
    write: Networks = Field(default_factory=list, description="networks that may write; empty: nobody")
    lease_s: Lease | None = Field(None, description=LEASE_TEXT)
    on_bms_loss: OnBmsLoss | None = Field(None, description=LOSS_TEXT)
    heartbeat: bool = Field(False, description="true: only a changing heartbeat object keeps BACnet leases alive")
    cov_per_peer: int = Field(10_000, ge=1, le=100_000, description="COV subscriptions one client may have")
    cov_total: int = Field(20_000, ge=1, le=100_000, description="COV subscriptions of all clients together")
    dcc_password: Secret | None = Field(
        None, description="asked of DeviceCommunicationControl and ReinitializeDevice, beside `write`; 1..20 characters"
    )
    reinitialize: bool = Field(False, description="true: ReinitializeDevice ends the process; systemd starts it again")
    foreign: BacnetForeign | None = Field(None, description="left out: the BMS is in this subnet")
    notification_classes: list[NotificationClass] = Field(
        default_factory=default_classes, min_length=1, max_length=64, description="who is told of alarms"
    )

    @model_validator(mode="after")
    def _whole(self) -> BacnetConfig:
        if self.reinitialize and self.dcc_password is None:
            raise WrongKeyError("reinitialize", "needs a dcc_password: it restarts the gateway")
        self._check_template("object_name", self.object_name, ("source", "kind", "name", "point"))
        self._check_template("device_name", self.device_name, ("source", "kind", "name"))
        if "{point}" not in self.object_name:
            raise WrongKeyError("object_name", "needs {point}: every object has a name of its own")
        if "{name}" not in self.device_name:
            raise WrongKeyError("device_name", "needs {name}: every device has a name of its own")
        self._check_devices()
        for key in ("instance", "name"):
            if len({getattr(each, key) for each in self.notification_classes}) < len(self.notification_classes):
                raise WrongKeyError("notification_classes", f"two have the same {key}")
        if any(network.version != 4 for network in self.write):
            raise WrongKeyError("write", "BACnet/IP is IPv4 only")
        for key in ("lease_s", "on_bms_loss", "heartbeat"):
            if not self.write and getattr(self, key) not in (None, False, "off"):
                raise WrongKeyError(key, "nobody may write over BACnet; fill in `write`, or leave this out")
        return self

    def _check_template(self, key: str, template: str, allowed: Sequence[str]) -> None:
        fields, rest = re.findall(r"\{([^{}]*)\}", template), re.sub(r"\{[^{}]*\}", "", template)
        if not set(fields) <= set(allowed) or set("{}") & set(rest):
            raise WrongKeyError(key, f"may use {' '.join('{' + field + '}' for field in allowed)} only")

    def _check_devices(self) -> None:
        """The keys of virtual devices belong together."""
        if self.devices == "one":
            for key in ("network", "first_instance", "ip_network"):
                if getattr(self, key) is not None:
                    raise WrongKeyError(key, "is for `devices: per_resource`; say that, or leave this out")
            return
        for key in ("network", "first_instance"):
            if getattr(self, key) is None:
                raise WrongKeyError("devices", f"per_resource needs `{key}`")
        first, own = self.first_instance or 0, self.device.instance
        if first <= own < first + MOST_DEVICES:
            text = f"{first}..{first + MOST_DEVICES - 1} are kept for virtual devices, and device.instance {own} is one"
            raise WrongKeyError("first_instance", f"{text}; choose another")
        if self.ip_network is not None and self.ip_network == self.network:
            raise WrongKeyError("ip_network", "is `network`; every BACnet network has a number of its own")
