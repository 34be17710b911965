"""What config.yaml may say (DESIGN 6.3): names, defaults, units and what is allowed."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from gateway.config.check import Strict, WrongKeyError, in_words
from gateway.config.duration import DurationOrNever
from gateway.config.supervision import Lease, OnBmsLoss

NAME = in_words(
    r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$",
    "must begin with a letter or digit and hold only letters, digits, _ . - (at most 40)",
)
FINGERPRINT = in_words(r"^sha256:[0-9a-fA-F]{64}$", "must be sha256: and 64 hexadecimal digits")
Name = Annotated[str, Field(pattern=NAME)]


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) or value is None else [value]


def _network(value: Any) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(str(value), strict=False)
    except ValueError:
        raise ValueError("must be an address or a network such as 10.0.0.0/24") from None


def _listen(value: str) -> str:
    match = re.fullmatch(r"([0-9.]+|\[[0-9a-fA-F:.]+\]):([0-9]{1,5})", value)
    try:
        if match is None:
            raise ValueError
        ipaddress.ip_address(match[1].strip("[]"))
    except ValueError:
        raise ValueError("must be ADDRESS:PORT, e.g. 10.0.0.5:502 or [::1]:502") from None
    if int(match[2]) > 65535:
        raise ValueError("the port must be 0..65535")
    return value


def _bacnet_address(value: str) -> str:
    match = re.fullmatch(r"([0-9.]+)(?:/([0-9]{1,2}))?(?::([0-9]{1,5}))?", value)
    try:
        if match is None:
            raise ValueError
        ipaddress.ip_interface(f"{match[1]}/{match[2] or 32}")
    except ValueError:
        raise ValueError("must be ADDRESS/MASK:PORT, e.g. 10.0.0.5/24:47808") from None
    if match[3] and not 1 <= int(match[3]) <= 65535:
        raise ValueError("the port must be 1..65535")
    return value


def _url(value: str) -> str:
    match = re.fullmatch(r"https?://(?:\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+)(?::([0-9]{1,5}))?/?", value)
    if match is None or not 1 <= int(match[1] or 1) <= 65535:
        raise ValueError("must be http(s)://HOST or http(s)://HOST:PORT, nothing before or after it")
    return value.rstrip("/")


def _exclude(value: str) -> str:
    if "/" not in value:
        raise ValueError('must be KIND/PATTERN, e.g. "station/Spare*"')
    return value


Network = Annotated[Any, BeforeValidator(_network), WithJsonSchema({"type": "string"})]
Networks = Annotated[
    list[Network],
    BeforeValidator(_as_list),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
Listen = Annotated[str, AfterValidator(_listen)]
LEASE_TEXT = "seconds a write lives unrefreshed, or off; not said: what a mapping or `control` says"
LOSS_TEXT = "when a lease ends: hold, release or {value: X}; not said: what a mapping or `control` says"


class Secret(Strict):
    """Where a password is read from; exactly one of the three."""

    credential: str | None = Field(None, description="name of a systemd credential (LoadCredential=)")
    file: str | None = Field(None, description="a file holding only the password")
    env: str | None = Field(None, description="an environment variable")

    @model_validator(mode="before")
    @classmethod
    def _no_literal(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError("a password is not written here; say {credential: NAME}, {file: PATH} or {env: NAME}")
        return value

    @model_validator(mode="after")
    def _one(self) -> Secret:
        if (self.credential, self.file, self.env).count(None) != 2:
            raise ValueError("say exactly one of credential, file, env")
        return self


class Tls(Strict):
    """How the product's certificate is recognised; exactly one of the three."""

    ca_file: str | None = Field(None, description="PEM file of the certificate or its authority")
    fingerprint: str | None = Field(None, pattern=FINGERPRINT, description="sha256:<64 hex digits> of the certificate")
    insecure: bool = Field(False, description="accept any certificate; warns everywhere")

    @model_validator(mode="after")
    def _one(self) -> Tls:
        if sum((self.ca_file is not None, self.fingerprint is not None, self.insecure)) != 1:
            raise ValueError("say exactly one of ca_file, fingerprint, insecure: true")
        return self


class SourceConfig(Strict):
    """One login to one product."""

    name: Name
    kind: Literal["evce", "bender"]
    url: Annotated[str, AfterValidator(_url)]
    username: str = Field(min_length=1)
    password: Secret
    tls: Tls | None = None
    mapping: str = Field(description="mapping file, relative to this file")
    expect: dict[str, list[str]] = Field(
        default_factory=dict, description="names by kind: their order gives their blocks before the site exists"
    )
    exclude: list[Annotated[str, AfterValidator(_exclude)]] = Field(
        default_factory=list, description='patterns such as "station/Spare*"'
    )
    parallel: int = Field(4, ge=1, le=16, description="requests under way at once")

    @model_validator(mode="after")
    def _whole(self) -> SourceConfig:
        if self.name == "gateway":
            raise WrongKeyError("name", 'the name "gateway" is taken by the gateway\'s own points')
        if self.url.startswith("https:") and self.tls is None:
            text = "an https url needs tls: {ca_file: ...} or {fingerprint: ...}"
            raise WrongKeyError("url", f"{text}; `evce-gateway trust {self.name}` shows them")
        if self.url.startswith("http:") and self.tls is not None:
            raise WrongKeyError("tls", "tls is for an https url, and this one is http: nothing would be checked")
        return self


class SourceOutline(BaseModel):
    """As much of a source as must be right before its certificate can be looked at."""

    model_config = ConfigDict(frozen=True, strict=True)

    name: str
    url: Annotated[str, AfterValidator(_url)]
    kind: str = ""
    tls: Tls | None = None


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

    @model_validator(mode="after")
    def _whole(self) -> ModbusClients:
        if self.slot == 6:
            raise WrongKeyError("slot", "slot 6 is reserved by BACnet (minimum on/off)")
        for key in ("lease_s", "on_bms_loss", "heartbeat", "shared"):
            if not self.write and getattr(self, key) not in (None, False, "off"):
                raise WrongKeyError(key, "this group only reads; say write: true, or leave this out")
        return self


class ModbusConfig(Strict):
    """The Modbus TCP server."""

    listen: Listen = "127.0.0.1:502"
    units: Literal["one"] = Field("one", description="one: a single unit for everything")
    unit: int = Field(1, ge=1, le=247)
    word_order: Literal["big", "little"] = "big"
    byte_order: Literal["big", "little"] = "big"
    max_connections: int = Field(32, ge=1, le=1000)
    clients: list[ModbusClients] = Field(
        default_factory=list, description="who may connect; empty: this machine only, reading only"
    )


class BacnetDevice(Strict):
    """The Device object."""

    instance: int = Field(ge=0, le=4194302)
    name: str = Field("EV Gateway", min_length=1, max_length=64)
    vendor_id: int = Field(999, ge=0, le=65535)


class BacnetConfig(Strict):
    """The BACnet/IP server."""

    address: Annotated[str, AfterValidator(_bacnet_address)] = Field(
        description="ADDRESS/MASK:PORT; the mask gives the broadcast address"
    )
    device: BacnetDevice
    devices: Literal["one"] = Field("one", description="one: a single device for everything")
    object_name: str = "{source}.{name}.{point}"
    write: Networks = Field(default_factory=list, description="networks that may write; empty: nobody")
    lease_s: Lease | None = Field(None, description=LEASE_TEXT)
    on_bms_loss: OnBmsLoss | None = Field(None, description=LOSS_TEXT)
    heartbeat: bool = Field(False, description="true: only a changing heartbeat object keeps BACnet leases alive")

    @model_validator(mode="after")
    def _whole(self) -> BacnetConfig:
        fields = re.findall(r"\{([^{}]*)\}", self.object_name)
        rest = re.sub(r"\{[^{}]*\}", "", self.object_name)
        if not set(fields) <= {"source", "kind", "name", "point"} or set("{}") & set(rest):
            raise WrongKeyError("object_name", "may use {source} {kind} {name} {point} only")
        if "point" not in fields:
            raise WrongKeyError("object_name", "needs {point}: every object has a name of its own")
        if any(network.version != 4 for network in self.write):
            raise WrongKeyError("write", "BACnet/IP is IPv4 only")
        for key in ("lease_s", "on_bms_loss", "heartbeat"):
            if not self.write and getattr(self, key) not in (None, False, "off"):
                raise WrongKeyError(key, "nobody may write over BACnet; fill in `write`, or leave this out")
        return self


class Override(Strict):
    """Control settings of one resource."""

    floor: float | None = Field(None, ge=0)
    allow_stop: bool | None = None
    lease_s: Lease | None = None
    on_bms_loss: OnBmsLoss | None = None


class ControlConfig(Strict):
    """What holds for commands unless a mapping says otherwise."""

    lease_s: Lease = Field("off", description="off: a command holds until it is changed or released")
    on_bms_loss: OnBmsLoss = Field("hold", description="when a lease ends: hold, release or {value: X}")
    max_downtime: DurationOrNever = Field(
        86400.0, description="down for longer: leased commands count as lost at the next start; 0: never"
    )
    read_only: bool = Field(False, description="true: every command is refused, and nothing is sent")
    floor: float = Field(6.0, ge=0, description="A; lower limits are refused, 0 included")
    allow_stop: bool = Field(False, description="true: exactly 0 is allowed below the floor")
    dry_run: bool = Field(False, description="true: show what would be sent and send nothing")
    local_slot: int = Field(8, ge=1, le=16, description="slot of the command line (not 6)")
    overrides: dict[str, Override] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _slot(self) -> ControlConfig:
        if self.local_slot == 6:
            raise WrongKeyError("local_slot", "slot 6 is reserved by BACnet (minimum on/off)")
        return self


class WebConfig(Strict):
    """The web listener; for now it answers /healthz only."""

    listen: Listen = "127.0.0.1:8080"


class Config(Strict):
    """config.yaml."""

    site: str = Field("", max_length=120)
    state_dir: str = "/var/lib/evce-gateway"
    sources: list[SourceConfig] = Field(min_length=1)
    modbus: ModbusConfig | None = None
    bacnet: BacnetConfig | None = None
    web: WebConfig | None = None
    control: ControlConfig = Field(default_factory=ControlConfig)
