"""DeviceCommunicationControl and ReinitializeDevice (ASHRAE 135 clauses 16.1 and 16.4).

Rules of this file: both need a client of the write networks, and the password if one is configured; no password is
ever shown or logged. Switching off the answers too (DISABLE) is refused since protocol revision 20.
"""

from __future__ import annotations

import hmac
import logging
import math
from collections.abc import Callable, Sequence
from enum import IntEnum
from ipaddress import IPv4Network

from gateway.engine.alarms import Alarms
from gateway.servers.bacnet.cov import Cov
from gateway.servers.bacnet.services import error, reject, simple_ack
from gateway.servers.bacnet.standard import (
    OPTIONAL_FUNCTIONALITY_NOT_SUPPORTED,
    PASSWORD_FAILURE,
    SERVICE_REQUEST_DENIED,
    WILDCARD,
    Error,
    Refusal,
    Service,
)
from gateway.servers.bacnet.status import Sparing
from gateway.servers.bacnet.tags import Malformed, RejectReason, Tags, decode_text
from gateway.servers.bacnet.writes import Peer

log = logging.getLogger(__name__)

SILENCED = "bacnet.silenced"
"""The alarm's key; a virtual device's has its number behind it."""
LONGEST_PASSWORD = 20


class Communication(IntEnum):
    """What DeviceCommunicationControl asks for."""

    ENABLE = 0
    DISABLE = 1
    DISABLE_INITIATION = 2


class Restart(IntEnum):
    """What ReinitializeDevice may ask for; 2 to 6 are backup and restore, 7 is about network ports."""

    COLDSTART = 0
    WARMSTART = 1
    LAST = 7


class Management:
    """Answers both services of one device.

    Args:
        cov: is muted and unmuted.
        networks: clients that may ask.
        password: needed as well, if there is one.
        restart: ends the process in good order; None: ReinitializeDevice is a service that there is not.
        alarms: says for as long as it lasts who silenced the device.
        now: monotonic time in seconds.
        device: the Device object's identifier.
        virtual: whether it is one of the virtual devices.
    """

    def __init__(
        self,
        cov: Cov,
        networks: Sequence[IPv4Network],
        *,
        password: str | None,
        restart: Callable[[], None] | None,
        alarms: Alarms,
        now: Callable[[], float],
        device: int,
        virtual: bool = False,
    ) -> None:
        number = device & WILDCARD
        self._device = device
        self._alarm = f"{SILENCED}.{number}" if virtual else SILENCED
        self._who = f"virtual device {number}" if virtual else "the gateway"
        self._cov = cov
        self._networks = networks
        self._password = password
        self._restart = restart
        self._alarms = alarms
        self._now = now
        self._until = math.inf
        self._refusals = Sparing(log, lines=1)

    def answer(self, service: int, invoke: int, body: bytes, peer: Peer) -> bytes | None:
        """The answer, None if the service is none that is served."""
        served = service == Service.REINITIALIZE_DEVICE and self._restart is not None
        if not served and service != Service.DEVICE_COMMUNICATION_CONTROL:
            return None
        try:
            if service == Service.DEVICE_COMMUNICATION_CONTROL:
                self._communicate(Tags(body), peer)
            else:
                self._reinitialize(Tags(body), peer)
        except Malformed as fault:
            return reject(invoke, fault.reason)
        except Refusal as refusal:
            self._told(service, refusal.error, peer)
            return error(service, invoke, refusal.error)
        return simple_ack(service, invoke)

    @property
    def silent(self) -> bool:
        """Whether the device may send nothing of its own accord."""
        return self._device in self._cov.muted

    def tick(self) -> None:
        """Speaks again when the time is over."""
        if self.silent and self._now() >= self._until:
            self._speak("the time it was silenced for is over")

    def end(self) -> None:
        """The device is no more, and neither is its silence."""
        if self.silent:
            self._cov.unmute(self._device)
            self._alarms.clear(self._alarm)

    def _communicate(self, tags: Tags, peer: Peer) -> None:
        minutes, asked, password = tags.optional(0), tags.number(1), _password(tags, 2)
        if minutes is not None and minutes > 0xFFFF:
            raise Malformed(RejectReason.PARAMETER_OUT_OF_RANGE)
        if asked > Communication.DISABLE_INITIATION:
            raise Malformed(RejectReason.UNDEFINED_ENUMERATION)
        if asked == Communication.DISABLE:
            raise Refusal(SERVICE_REQUEST_DENIED)
        self._permit(peer, password)
        if asked == Communication.ENABLE:
            self._speak(f"{peer.text} switched it on again")
            return
        self._until = self._now() + 60 * minutes if minutes else math.inf
        self._cov.muted.add(self._device)
        duration = f"for {minutes} minutes" if minutes else "until it is switched on again"
        text = f"{peer.text} told {self._who} to send no BACnet notifications {duration} (DeviceCommunicationControl)"
        self._alarms.set(self._alarm, text)

    def _speak(self, reason: str) -> None:
        if self.silent:
            self._cov.unmute(self._device)
            self._alarms.clear(self._alarm)
            log.info("bacnet: %s sends notifications again: %s", self._who, reason)

    def _reinitialize(self, tags: Tags, peer: Peer) -> None:
        asked, password = tags.number(0), _password(tags, 1)
        if asked > Restart.LAST:
            raise Malformed(RejectReason.UNDEFINED_ENUMERATION)
        self._permit(peer, password)
        if self._restart is None or asked not in (Restart.COLDSTART, Restart.WARMSTART):
            raise Refusal(OPTIONAL_FUNCTIONALITY_NOT_SUPPORTED)
        log.warning("bacnet: %s asked for a restart (ReinitializeDevice)", peer.text)
        self._restart()

    def _permit(self, peer: Peer, password: bytes) -> None:
        """Refuses who may not ask.

        Raises:
            Refusal: not of the write networks, or with another password.
        """
        if not peer.within(self._networks):
            raise Refusal(SERVICE_REQUEST_DENIED)
        if self._password is not None and not hmac.compare_digest(password, self._password.encode()):
            raise Refusal(PASSWORD_FAILURE)

    def _told(self, service: int, cause: Error, peer: Peer) -> None:
        """A refusal may be somebody who tries passwords."""
        reason = "the password is wrong" if cause == PASSWORD_FAILURE else "it may not, or this is not done here"
        name = Service(service).name.lower()
        self._refusals.warning(self._now(), "bacnet: %s was refused %s: %s", peer.text, name, reason)


def _password(tags: Tags, number: int) -> bytes:
    """The optional last parameter of both services, as UTF-8; nothing if it is left out."""
    found = ""
    if tags.has(number):
        text = decode_text(tags.context(number, 1, 1 + 4 * LONGEST_PASSWORD))
        if text is None or len(text) > LONGEST_PASSWORD:
            raise Malformed(RejectReason.PARAMETER_OUT_OF_RANGE)
        found = text
    tags.finish()
    return found.encode()
