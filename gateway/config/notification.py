"""The part of config.yaml about who is told of alarms over BACnet."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from gateway.config.check import Strict, WrongKeyError, in_words

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
TransitionName = Literal["offnormal", "fault", "normal"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
TRANSITIONS: tuple[TransitionName, ...] = ("offnormal", "fault", "normal")
"""In the order of core.alarm.Transition."""
BACNET_PORT = 47808
CLOCK = in_words(r"^([01][0-9]|2[0-3]):[0-5][0-9]$", "must be a time of day such as 06:00 or 23:59, in quotes")
MAC = in_words(r"^([0-9a-f]{2}){1,7}$", "must be the octets of an address in hexadecimal, e.g. 0a000014bac0")
ClockTime = Annotated[str, Field(pattern=CLOCK)]


def _address(value: str) -> str:
    if value == "broadcast":
        return value
    match = re.fullmatch(r"([0-9.]+)(?::([0-9]{1,5}))?", value)
    try:
        if match is None or not 1 <= int(match[2] or BACNET_PORT) <= 65535:
            raise ValueError
        ipaddress.IPv4Address(match[1])
    except ValueError:
        raise ValueError("must be ADDRESS:PORT such as 10.0.0.20:47808, or broadcast") from None
    return value


class Recipient(Strict):
    """Somebody who is told of alarms."""

    device: int | None = Field(None, ge=0, le=4194302, description="device instance; it is looked for by Who-Is")
    address: Annotated[str, AfterValidator(_address)] | None = Field(
        None, description="instead of device: ADDRESS:PORT (left out: 47808), or broadcast"
    )
    network: int = Field(0, ge=0, le=65534, description="network number of a mac behind a router; 0: this network")
    mac: Annotated[str, Field(pattern=MAC)] | None = Field(
        None, description="instead of address, with network: the MAC address there in hexadecimal"
    )
    process: int = Field(1, ge=0, le=4294967295, description="process identifier the recipient asks for")
    confirmed: bool = Field(False, description="true: it has to acknowledge receipt, and is sent it again if not")
    days: list[Day] = Field(default_factory=lambda: list(DAYS), min_length=1, description="when it is told of anything")
    from_: ClockTime = Field("00:00", alias="from", description="of each day, local time")
    to: ClockTime = Field("23:59", description="of each day, local time, to the end of this minute")
    transitions: list[TransitionName] = Field(
        default_factory=lambda: list(TRANSITIONS), min_length=1, description="what it is told of"
    )

    @model_validator(mode="after")
    def _one(self) -> Recipient:
        if (self.device, self.address, self.mac).count(None) != 2:
            raise ValueError("say exactly one of device, address, mac")
        if self.mac is not None and self.network == 0:
            raise ValueError("say network beside mac: the number of the network that it is in")
        if self.mac is None and self.network:
            raise WrongKeyError("network", "goes with mac: the address behind the router")
        if self.address == "broadcast" and self.confirmed:
            raise WrongKeyError("confirmed", "nobody acknowledges a broadcast")
        if self.from_ > self.to:
            raise WrongKeyError("from", "must not be later than `to`; say two recipients for a night")
        return self


class NotificationClass(Strict):
    """A Notification Class object: how urgent its alarms are, and who is told."""

    instance: int = Field(ge=0, le=4194302, description="also its number, which mappings name as `class`")
    name: str = Field("Alarms", min_length=1, max_length=64, description="Object_Name")
    priority: Annotated[list[Annotated[int, Field(ge=0, le=255)]], Field(min_length=3, max_length=3)] = Field(
        default_factory=lambda: [64, 128, 192], description="0 most urgent: to off-normal, to fault, to normal"
    )
    ack: list[TransitionName] = Field(
        default_factory=lambda: list(TRANSITIONS[:1]), description="what somebody has to acknowledge"
    )
    recipients: list[Recipient] = Field(
        default_factory=list, max_length=64, description="a BMS that may write can put itself into Recipient_List"
    )


def default_classes() -> list[NotificationClass]:
    """The one class of a site that says nothing: a BMS enters itself."""
    return [NotificationClass(instance=1)]
