"""bacpypes3's server segmentation state machine, with the octet counts and limits it lacks (ASHRAE 135 clause 5.4.5).

Rules of this file: what leaves is never longer than the client's APDU limit; what comes in never grows without bound;
a peer cannot make it raise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacpypes3.apdu import AbortPDU, ComplexAckPDU, ConfirmedRequestPDU, SegmentAckPDU
from bacpypes3.appservice import ABORTED, AWAIT_RESPONSE, COMPLETED, ServerSSM

from gateway.servers.bacnet.standard import MAX_APDU, MAX_SEGMENTS, Abort

if TYPE_CHECKING:
    from bacpypes3.pdu import Address

    from gateway.servers.bacnet.stack import Responder

UNSEGMENTED_HEAD, SEGMENTED_HEAD = 3, 5
"""Octets before the service data of a Complex-ACK."""
MOST_SEGMENTS = 255
"""Sequence numbers are 8 bits, and the state machine counts segments with them."""
COMPLEX_ACK = 3


class Transaction(ServerSSM):  # type: ignore[misc]  # bacpypes3 has no types
    """One segmented request or answer.

    Args:
        responder: the service access point.
        peer: the client.
        ready: the answer, if it is already known.
    """

    maxApduLengthAccepted: int  # noqa: N815  # the names of bacpypes3
    actualWindowSize: int | None  # noqa: N815

    def __init__(self, responder: Responder, peer: Address, ready: bytes | None = None) -> None:
        super().__init__(responder, peer)
        self._ready = ready

    @property
    def finished(self) -> bool:
        """Whether it is no longer tracked."""
        return self.state in (COMPLETED, ABORTED)

    def drop(self) -> None:
        """Forgets it without a word; the client has begun anew."""
        if not self.finished:
            self.set_state(ABORTED)

    async def request(self, apdu: ConfirmedRequestPDU | AbortPDU) -> None:
        """The request is complete: serves it and sends the answer."""
        if isinstance(apdu, AbortPDU):
            return
        answer = self._ready
        if answer is None:
            service, body = apdu.apduService, bytes(apdu.pduData)
            limit = min(self.maxApduLengthAccepted, MAX_APDU)
            answer = await self.ssmSAP.serve(service, self.invokeID, body, self.pdu_address, limit)
        if self.state != AWAIT_RESPONSE:
            return
        if answer[0] >> 4 == COMPLEX_ACK:
            ack = ComplexAckPDU(answer[2], self.invokeID)
            ack.put_data(answer[UNSEGMENTED_HEAD:])
            await self.confirmation(ack)
        else:
            self.set_state(COMPLETED)
            await self.ssmSAP.send(answer, self.pdu_address)

    async def confirmation(self, apdu: ComplexAckPDU | AbortPDU) -> None:
        """Sends the answer whole or as segments that fit with their headers."""
        if isinstance(apdu, ComplexAckPDU):
            size, limit = len(apdu.pduData), min(self.maxApduLengthAccepted, MAX_APDU)
            self.maxApduLengthAccepted = limit
            if size + UNSEGMENTED_HEAD > limit:
                self.maxApduLengthAccepted = limit - SEGMENTED_HEAD
                if size > MOST_SEGMENTS * self.maxApduLengthAccepted:
                    await self.response(self.abort(Abort.BUFFER_OVERFLOW))
                    return
        await super().confirmation(apdu)

    async def fill_window(self, seq: int) -> None:
        """Sends the segments of one window from `seq` on; the first one alone until the client named its window."""
        if self.actualWindowSize is None:
            await self.ssmSAP.request(self.get_segment(0))
        elif 0 <= seq < self.segmentCount:
            self.actualWindowSize = max(1, self.actualWindowSize)
            await super().fill_window(seq)

    async def segmented_response(self, apdu: SegmentAckPDU | AbortPDU | ConfirmedRequestPDU) -> None:
        """A Segment-ACK or Abort of the client; only the ack of the very last segment ends it well."""
        if isinstance(apdu, SegmentAckPDU):
            apdu.apduWin = max(1, apdu.apduWin)
            if apdu.apduSeq != self.segmentCount - 1:
                self.sentAllSegments = False
        if isinstance(apdu, SegmentAckPDU | AbortPDU):
            await super().segmented_response(apdu)

    def append_segment(self, apdu: ConfirmedRequestPDU) -> None:
        """Collects a request, up to Max_Segments_Accepted segments; a longer one never completes."""
        if len(self.segmentAPDU.pduData) + len(apdu.pduData) > MAX_SEGMENTS * MAX_APDU:
            self.drop()
            return
        super().append_segment(apdu)
