"""What config.yaml may say (DESIGN 6.3): names, defaults, units and what is allowed."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from gateway.config.check import Strict, WrongKeyError, in_words
from gateway.config.downstream import BacnetConfig, ModbusConfig
from gateway.config.duration import DurationOrNever
from gateway.config.fields import Name, Secret
from gateway.config.supervision import Lease, OnBmsLoss
from gateway.config.web import WebConfig

FINGERPRINT = in_words(r"^sha256:[0-9a-fA-F]{64}$", "must be sha256: and 64 hexadecimal digits")


def _url(value: str) -> str:
    match = re.fullmatch(r"https?://(?:\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+)(?::([0-9]{1,5}))?/?", value)
    if match is None or not 1 <= int(match[1] or 1) <= 65535:
        raise ValueError("must be http(s)://HOST or http(s)://HOST:PORT, nothing before or after it")
    return value.rstrip("/")


def _exclude(value: str) -> str:
    if "/" not in value:
        raise ValueError('must be KIND/PATTERN, e.g. "station/Spare*"')
    return value


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
    local_slot: int = Field(8, ge=1, le=16, description="slot of the command line and of the page (not 6)")
    overrides: dict[str, Override] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _slot(self) -> ControlConfig:
        if self.local_slot == 6:
            raise WrongKeyError("local_slot", "slot 6 is reserved by BACnet (minimum on/off)")
        return self


class Config(Strict):
    """config.yaml."""

    site: str = Field("", max_length=120)
    state_dir: str = "/var/lib/evce-gateway"
    sources: list[SourceConfig] = Field(min_length=1)
    modbus: ModbusConfig | None = None
    bacnet: BacnetConfig | None = None
    web: WebConfig | None = None
    control: ControlConfig = Field(default_factory=ControlConfig)
