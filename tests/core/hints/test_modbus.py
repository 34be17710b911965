"""What one request of a Modbus client shows, and what many do."""

from __future__ import annotations

import struct

import pytest

from gateway.core.hints import Asked, Extents, Finding, ModbusHabits, Place, guess_protocol, judge

EXTENTS = Extents(
    [
        (1, Place(1000, 2, "float32", "evce/zone/Zone A/current", False)),
        (1, Place(1002, 2, "float32", "evce/zone/Zone A/power", False)),
        (1, Place(1004, 1, "bool", "evce/zone/Zone A/online", False)),
        (1, Place(1006, 12, "string", "evce/zone/Zone A/tag", False)),
        (1, Place(1040, 2, "float32", "evce/zone/Zone A/reduction", True)),
        (1, Place(1054, 1, "bool", "evce/zone/Zone A/reduction.release", True)),
        (1, Place(1060, 2, "float32", "evce/zone/Zone B/current", False)),
        (1, Place(1120, 4, "float64", "evce/zone/Zone C/energy", False)),
    ]
)


def asked(function: int, address: int, quantity: int, code: int = 0, **more: int | bool | str) -> Asked:
    return Asked(1, function, address, quantity, code, **more)  # type: ignore[arg-type]


def hint(request: Asked) -> str:
    found = judge(request, EXTENTS)
    return "" if found is None else found.id


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (asked(3, 1000, 2), ""),
        (asked(3, 1000, 60), ""),
        (asked(4, 1002, 3), ""),
        (asked(3, 1006, 5), ""),  # the first half of a text is a text
        (asked(3, 1001, 2), "odd_offset"),
        (asked(4, 1003, 2), "odd_offset"),
        (asked(3, 1121, 4), "odd_offset"),
        (asked(3, 1001, 60), "one_based"),
        (asked(3, 1001, 61), "odd_offset"),  # one lower it would not fit either
        (asked(3, 1001, 5), "one_based"),
        (asked(3, 1061, 60), "one_based"),
        (asked(3, 1040, 1), "half_read"),
        (asked(3, 999, 60, 2, shifted=1), "one_based"),
        (asked(3, 740, 10, 2), "unmapped"),
        (asked(3, 1000, 200, 3), "too_many"),
        (asked(3, 1000, 2, 11, known_unit=False), "unknown_unit"),
        (asked(3, 1000, 2, 11), ""),  # a value that is lost under `exception`
        (asked(8, 0, 1, 1), "function"),
        (asked(1, 1000, 2), "coils"),
        (asked(1, 1004, 1), ""),
        (asked(5, 1040, 1, 2), "coils"),
        (asked(5, 1054, 1), ""),
        (asked(5, 1004, 1, 2), "read_only"),
        (asked(2, 740, 8, 2), "unmapped"),
        (asked(6, 1040, 1, 3), "half_write"),
        (asked(6, 1041, 1, 3), "half_write"),
        (asked(16, 1041, 2, 2), "one_based"),
        (asked(16, 1040, 2), ""),
        (asked(16, 1000, 2, 2), "read_only"),
        (asked(16, 740, 2, 2), "unmapped"),
        (asked(16, 1040, 2, 2, may_write=False), "no_right"),
    ],
)
def test_a_request_gets_its_hint_or_none(request_: Asked, expected: str) -> None:
    assert hint(request_) == expected


def test_hints_name_the_evidence_in_words() -> None:
    found = judge(asked(6, 1040, 1, 3), EXTENTS)
    assert found is not None
    assert "half of evce/zone/Zone A/reduction (float32 at 1040..1041) with function 6" in found.text
    assert "function 16 from 1040 on" in found.text
    found = judge(asked(3, 1061, 60), EXTENTS)
    assert found is not None
    assert "registers 1061 to 1120, one register above evce/zone/Zone B/current" in found.text
    assert "1-based tool?" in found.text


def test_a_client_that_reads_the_map_in_pieces_gets_no_hint() -> None:
    habits = ModbusHabits()
    pieces = [asked(3, 1000, 41), asked(3, 1041, 41)]
    assert [habits.asked(piece, EXTENTS, 0.0) for piece in pieces] == [None, None]
    assert habits.asked(asked(3, 1061, 60), EXTENTS, 0.0) is not None


def test_a_connection_per_request_is_told_at_the_tenth_within_a_minute() -> None:
    habits = ModbusHabits()
    assert [habits.left(1, second) for second in range(9)] == [None] * 9
    found = habits.left(2, 9.0)
    assert isinstance(found, Finding)
    assert found.id == "new_connections"
    slow = ModbusHabits()
    assert not any(slow.left(1, 10.0 * minute) for minute in range(20))
    busy = ModbusHabits()
    assert not any(busy.left(500, second) for second in range(20))


def test_fast_polling_is_judged_by_how_often_the_sources_are_read() -> None:
    habits = ModbusHabits()
    for address in (1000, 1060):
        habits.asked(asked(3, address, 2), EXTENTS, 100.0)
    assert habits.polls(4.0, 5.0, 100.0) is None
    found = habits.polls(40.0, 5.0, 100.0)
    assert found is not None
    assert found.text.startswith("asks 40 times a second for 2 ranges of registers")
    assert habits.polls(15.0, 1.0, 100.0) is None
    assert habits.polls(40.0, 5.0, 200.0) is None  # nothing is known of what it asks now


def test_an_unchanged_write_counts_only_when_no_lease_needs_it() -> None:
    habits = ModbusHabits()

    def every_second(leased: bool) -> list[Finding | None]:
        return [habits.wrote(7, 32.0, "evce/zone/Zone A/reduction", second, lambda: leased) for second in range(30)]

    assert not any(every_second(True))
    habits = ModbusHabits()
    found = every_second(False)
    assert [item is not None for item in found].index(True) == 20
    habits = ModbusHabits()
    assert not any(habits.wrote(7, float(second), "x", second, lambda: False) for second in range(60))
    assert not any(habits.wrote(7, 32.0, "x", 10.0 * turn, lambda: False) for turn in range(60))


def test_what_is_no_modbus_tcp_is_named() -> None:
    assert guess_protocol(b"\x16\x03\x01\x02\x00").startswith("TLS")
    assert guess_protocol(b"GET / HTTP/1.1\r\n") == "HTTP"
    assert guess_protocol(bytes.fromhex("1103006b00037687")).startswith("Modbus RTU over TCP")
    assert guess_protocol(struct.pack(">HHHBBHH", 1, 7, 6, 1, 3, 0, 1)) == "something else than Modbus TCP"
