"""Protocol Implementation Conformance Statement (ASHRAE 135 Annex A), read from what the device says of itself.

Rules of this file: a building block (Annex K) is claimed when every service it needs is in the device's own
Protocol_Services_Supported and every object type in its Protocol_Object_Types_Supported, and else it is not; none that
sets the clock is, because the gateway's does not follow BACnet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gateway.export.cells import Value, markdown, markup
from gateway.export.spec import DeviceFacts, MapSpec
from gateway.export.tables import head_rows, html_page, html_table

SERVICES: dict[int, str] = {
    0: "AcknowledgeAlarm",
    1: "ConfirmedCOVNotification",
    2: "ConfirmedEventNotification",
    3: "GetAlarmSummary",
    4: "GetEnrollmentSummary",
    5: "SubscribeCOV",
    6: "AtomicReadFile",
    7: "AtomicWriteFile",
    8: "AddListElement",
    9: "RemoveListElement",
    10: "CreateObject",
    11: "DeleteObject",
    12: "ReadProperty",
    14: "ReadPropertyMultiple",
    15: "WriteProperty",
    16: "WritePropertyMultiple",
    17: "DeviceCommunicationControl",
    18: "ConfirmedPrivateTransfer",
    19: "ConfirmedTextMessage",
    20: "ReinitializeDevice",
    26: "I-Am",
    27: "I-Have",
    28: "UnconfirmedCOVNotification",
    29: "UnconfirmedEventNotification",
    30: "UnconfirmedPrivateTransfer",
    31: "UnconfirmedTextMessage",
    32: "TimeSynchronization",
    33: "Who-Has",
    34: "Who-Is",
    35: "ReadRange",
    36: "UTCTimeSynchronization",
    37: "LifeSafetyOperation",
    38: "SubscribeCOVProperty",
    39: "GetEventInformation",
    40: "WriteGroup",
    41: "SubscribeCOVPropertyMultiple",
}
"""Bits of BACnetServicesSupported (clause 21)."""
NOTIFICATION_CLASS, TREND_LOG = 15, 20


@dataclass(frozen=True, slots=True)
class Block:
    """A building block with what it needs: services that are executed, object types that are there."""

    name: str
    title: str
    services: frozenset[int]
    types: frozenset[int] = frozenset()


def _block(name: str, title: str, *services: int, types: tuple[int, ...] = ()) -> Block:
    return Block(name, title, frozenset(services), frozenset(types))


BLOCKS = (
    _block("DS-RP-B", "Data Sharing - ReadProperty - B", 12),
    _block("DS-RPM-B", "Data Sharing - ReadPropertyMultiple - B", 14),
    _block("DS-WP-B", "Data Sharing - WriteProperty - B", 15),
    _block("DS-WPM-B", "Data Sharing - WritePropertyMultiple - B", 16),
    _block("DS-COV-B", "Data Sharing - COV - B", 5),
    _block("DS-COVP-B", "Data Sharing - COV Property - B", 38),
    _block("AE-N-I-B", "Alarm and Event - Notification Internal - B", 0, 39, types=(NOTIFICATION_CLASS,)),
    _block("AE-CRL-B", "Alarm and Event - Configurable Recipient Lists - B", 15, types=(NOTIFICATION_CLASS,)),
    _block("AE-ACK-B", "Alarm and Event - Acknowledge - B", 0, types=(NOTIFICATION_CLASS,)),
    _block("AE-INFO-B", "Alarm and Event - Information - B", 39),
    _block("AE-ASUM-B", "Alarm and Event - Alarm Summary - B", 3),
    _block("T-VMT-I-B", "Trending - Viewing and Modifying Trends Internal - B", 35, types=(TREND_LOG,)),
    _block("DM-DDB-B", "Device Management - Dynamic Device Binding - B", 34),
    _block("DM-DOB-B", "Device Management - Dynamic Object Binding - B", 33),
    _block("DM-DCC-B", "Device Management - Device Communication Control - B", 17),
    _block("DM-RD-B", "Device Management - Reinitialize Device - B", 20),
    _block("DM-LM-B", "Device Management - List Manipulation - B", 8, 9),
)
GATEWAY_NEEDS = ("DS-RP-B", "DS-WP-B", "DM-DDB-B", "DM-DOB-B", "DM-DCC-B")
"""What the profile B-GW asks for, beside one of GW-EO-B and GW-VN-B (Annex L)."""


def claimed_blocks(facts: DeviceFacts, devices: str | None) -> dict[str, str]:
    """The building blocks that are claimed, with their titles."""
    found = {
        block.name: block.title
        for block in BLOCKS
        if block.services <= facts.services and block.types <= facts.types.keys()
    }
    if devices == "per_resource":
        return found | {"GW-VN-B": "Gateway - Virtual Network - B"}
    return found | {"GW-EO-B": "Gateway - Embedded Objects - B"}


@dataclass(frozen=True, slots=True)
class Section:
    """One heading with a table."""

    title: str
    columns: Mapping[str, str]
    rows: list[dict[str, Value]]


def _pairs(title: str, rows: Mapping[str, Value]) -> Section:
    return Section(title, {"name": "", "value": ""}, [{"name": key, "value": value} for key, value in rows.items()])


def sections(spec: MapSpec, facts: DeviceFacts) -> Iterator[Section]:
    """The statement, heading by heading."""
    head = spec.head
    blocks = claimed_blocks(facts, head.devices)
    is_gateway = set(GATEWAY_NEEDS) <= blocks.keys()
    yield _pairs(
        "Product",
        {
            "Date": head.made[:10],
            "Vendor name": facts.vendor,
            "Vendor identifier": facts.vendor_id,
            "Product name and model": facts.model,
            "Application software version": facts.application,
            "Firmware revision": facts.firmware,
            "BACnet protocol revision": facts.revision,
            "Description": "Gateway from charging products (HTTP) to BACnet/IP",
            "BTL tested": "no; this is a self-declaration",
            **dict(head_rows(head)),
        },
    )
    profile = "BACnet Gateway (B-GW)" if is_gateway else "none"
    yield _pairs("Standardized device profile (Annex L)", {"Profile": profile, "Devices": facts.devices})
    yield Section(
        "BACnet Interoperability Building Blocks (Annex K)",
        {"name": "BIBB", "title": "meaning"},
        [{"name": name, "title": title} for name, title in blocks.items()],
    )
    yield Section(
        "Services executed (Protocol_Services_Supported)",
        {"bit": "bit", "service": "service"},
        [{"bit": bit, "service": SERVICES.get(bit, f"service bit {bit}")} for bit in sorted(facts.services)],
    )
    yield Section(
        "Standard object types (Protocol_Object_Types_Supported)",
        {
            "type": "object type",
            "count": "objects in this map",
            "writable": "written by clients",
            "dynamic": "created, deleted",
        },
        _types(spec, facts),
    )
    yield _pairs(
        "Transport",
        {
            "Segmented requests and responses": f"both, up to {facts.max_segments} segments",
            "Largest APDU": f"{facts.max_apdu} octets",
            "Data link": "BACnet/IP (Annex J)",
            "Foreign device registration": "used" if facts.foreign else "possible, not configured",
            "BBMD": "no",
            "Router": "to the virtual network of its own devices only" if head.devices == "per_resource" else "no",
            "Static device binding": "no",
            "Local clock": "of the operating system; time synchronisation is accepted and shown, not followed",
            "Character sets": "ISO 10646 (UTF-8); ISO 10646 (UCS-2) and ISO 8859-1 are read in requests",
            "Network security": "none in BACnet; writes only from the networks that `bacnet.write` allows",
            "Gateway to": "EcoStruxure EV Charging Expert and Bender charge controllers over HTTP",
        },
    )


def _types(spec: MapSpec, facts: DeviceFacts) -> list[dict[str, Value]]:
    counts = Counter(one.code for one in spec.objects)
    written = Counter((one.code, prop) for one in spec.objects for prop in one.written)
    told: dict[int, list[str]] = {}
    for (code, prop), count in written.items():
        told.setdefault(code, []).append(f"{prop} of {count}")
    return [
        {
            "type": facts.types[code],
            "count": counts[code],
            "writable": ", ".join(told.get(code, ["none"])),
            "dynamic": "no",
        }
        for code in sorted(facts.types)
    ]


TITLE = "BACnet Protocol Implementation Conformance Statement"


def pics_markdown(spec: MapSpec, facts: DeviceFacts) -> str:
    """The statement as Markdown."""
    parts = [f"# {TITLE}", ""]
    for section in sections(spec, facts):
        parts += [f"## {section.title}", "", f"| {' | '.join(section.columns.values())} |"]
        parts.append(f"|{'---|' * len(section.columns)}")
        parts += [f"| {' | '.join(markdown(row[key]) for key in section.columns)} |" for row in section.rows]
        parts.append("")
    return "\n".join(parts)


def pics_html(spec: MapSpec, facts: DeviceFacts) -> str:
    """The statement as a page to print."""
    parts = (
        f"<h2>{markup(section.title)}</h2>\n{html_table(section.columns, section.rows)}"
        for section in sections(spec, facts)
    )
    return html_page(TITLE, "\n".join(parts))
