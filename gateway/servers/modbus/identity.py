"""FC43/14, Read Device Identification: who we are, for nmap and SCADA tools (V1.1b3, 6.21)."""

from __future__ import annotations

from pymodbus.pdu.mei_message import ReadDeviceInformationResponse

from gateway.servers.modbus.codes import Code

VENDOR = "EVCE gateway"
PRODUCT = "EV charging gateway"
MEI_IDENTIFICATION = 14
BASIC_AND_INDIVIDUAL = 0x81
INDIVIDUAL = 4


class Identity:
    """The basic objects 0 vendor, 1 product, 2 version, of this server and not of the process."""

    def __init__(self, version: str) -> None:
        texts = (VENDOR, PRODUCT, version)
        self._objects = {number: text.encode()[:60] for number, text in enumerate(texts)}

    def answer(self, pdu: bytes) -> bytes | Code:
        """The answer's PDU, or the code: 01 other MEI types, 02 no such object, 03 no such kind of read.

        Regular and extended reads get the basic objects, as the clause asks of a device that has no more.
        """
        if len(pdu) < 2:
            return Code.VALUE
        if pdu[1] != MEI_IDENTIFICATION:
            return Code.FUNCTION
        if len(pdu) != 4 or not 1 <= pdu[2] <= INDIVIDUAL:
            return Code.VALUE
        kind, first = pdu[2], pdu[3]
        if kind == INDIVIDUAL:
            if first not in self._objects:
                return Code.ADDRESS
            objects = {first: self._objects[first]}
        else:
            start = first if first in self._objects else 0
            objects = {number: data for number, data in self._objects.items() if number >= start}
        response = ReadDeviceInformationResponse(read_code=kind, information=objects)
        response.conformity = BASIC_AND_INDIVIDUAL
        return pdu[:1] + response.encode()
