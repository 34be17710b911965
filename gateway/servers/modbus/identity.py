"""FC43/14, Read Device Identification: who we are, for nmap and SCADA tools (V1.1b3, 6.21)."""

from __future__ import annotations

from collections.abc import Callable

from pymodbus.pdu.mei_message import ReadDeviceInformationResponse

from gateway.servers.modbus.codes import Code

VENDOR = "EVCE gateway"
PRODUCT = "EV charging gateway"
MODEL = "EVCE and Bender to Modbus TCP and BACnet/IP"
MEI_IDENTIFICATION = 14
EXTENDED_AND_INDIVIDUAL = 0x83
INDIVIDUAL = 4
HIGHEST = {1: 0x02, 2: 0x7F, 3: 0xFF}
"""The last object of a basic, regular and extended read."""
MAP_HASH, LAYOUT = 0x80, 0x81
LONGEST = 60


class Identity:
    """Of this server and not of the process.

    Objects: 0 vendor, 1 product, 2 version, 4 product name, 5 model, 6 site; 0x80 the map hash as in header registers
    3..6 (16 hexadecimal digits), 0x81 the version of the header's layout.
    """

    def __init__(self, version: str, *, site: str, layout: int, map_hash: Callable[[], int]) -> None:
        texts = {0: VENDOR, 1: PRODUCT, 2: version, 4: PRODUCT, 5: MODEL, 6: site, LAYOUT: str(layout)}
        self._objects = {number: _clipped(text) for number, text in texts.items()}
        self._map_hash = map_hash

    def answer(self, pdu: bytes) -> bytes | Code:
        """The answer's PDU, or the code: 01 other MEI types, 02 no such object, 03 no such kind of read."""
        if len(pdu) < 2:
            return Code.VALUE
        if pdu[1] != MEI_IDENTIFICATION:
            return Code.FUNCTION
        if len(pdu) != 4 or not 1 <= pdu[2] <= INDIVIDUAL:
            return Code.VALUE
        kind, first = pdu[2], pdu[3]
        known = dict(sorted({**self._objects, MAP_HASH: f"{self._map_hash():016x}".encode()}.items()))
        if kind == INDIVIDUAL:
            if first not in known:
                return Code.ADDRESS
            objects = {first: known[first]}
        else:
            start = first if first in known else 0
            objects = {number: data for number, data in known.items() if start <= number <= HIGHEST[kind]}
        response = ReadDeviceInformationResponse(read_code=kind, information=objects)
        response.conformity = EXTENDED_AND_INDIVIDUAL
        return pdu[:1] + response.encode()


def _clipped(text: str) -> bytes:
    """At most LONGEST bytes of UTF-8, no character cut in two."""
    return text.encode()[:LONGEST].decode(errors="ignore").encode()
