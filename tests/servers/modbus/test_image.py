"""The image and the write parser against models that loop over every register."""

from __future__ import annotations

import struct
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.addressing import Span
from gateway.core.value import Value
from gateway.servers.modbus import image as im
from gateway.servers.modbus.codes import Code, Refusal
from gateway.servers.modbus.reads import MOST, Reads
from gateway.servers.modbus.writes import register_values

STATES = st.lists(st.integers(0, 3), min_size=1, max_size=140)
COILS = st.lists(st.integers(0, 5), min_size=1, max_size=140)
FIRST = 65536 - 140


@given(states=STATES, start=st.integers(0, 150), count=st.integers(0, 130), strict=st.booleans())
def test_reading_registers_equals_the_model(states: list[int], start: int, count: int, strict: bool) -> None:
    image = im.Image()
    for n, state in enumerate(states):
        image.state[FIRST + n] = state
        image.data[(FIRST + n) * 2 : (FIRST + n) * 2 + 2] = (n + 1).to_bytes(2, "big")
    asked = range(FIRST + start, FIRST + start + count)
    expected: bytes | Code
    if not 1 <= count <= 125:
        expected = Code.VALUE
    elif any(r > 65535 or image.state[r] == im.UNMAPPED or (strict and image.state[r] == im.GAP) for r in asked):
        expected = Code.ADDRESS
    elif any(image.state[r] == im.LOST for r in asked):
        expected = Code.NO_TARGET
    else:
        expected = b"".join((r - FIRST + 1).to_bytes(2, "big") for r in asked)
    assert image.read_registers(FIRST + start, count, strict) == expected


@given(steps=st.lists(st.tuples(st.integers(0, 11), st.integers(1, 4), st.integers(0, 3)), max_size=60))
def test_a_kept_read_is_what_reading_now_would_be(steps: list[tuple[int, int, int]]) -> None:
    """Reads of a few registers, among states and values that change: kept or judged, the same bytes."""
    image, reads = im.Image(), Reads()
    for number, (first, count, state) in enumerate(steps):
        image.data[first * 2 : first * 2 + 2] = number.to_bytes(2, "big")
        if number % 3 == 0:
            image.mark(first, bytes([state]) * count)
        request = struct.pack(">HHBBHH", 0, 6, 1, 3, first, count)
        found = image.read_registers(first, count, strict=False)
        answer = reads.again(b"\x12\x34" + request)
        if isinstance(found, Code):
            assert answer is None
        else:
            expected = struct.pack(">HHHBBB", 0x1234, 0, 3 + 2 * count, 1, 3, 2 * count) + found
            assert answer in (None, expected)
            reads.keep(image, 1, 3, first, count)
            assert reads.again(b"\x12\x34" + request) == expected


def test_no_more_reads_are_kept_than_are_worth_it() -> None:
    image, reads = im.Image(), Reads()
    for address in range(MOST + 1):
        reads.keep(image, 1, 3, address, 1)
    asked = [struct.pack(">HHHBBHH", 0, 0, 6, 1, 3, address, 1) for address in range(MOST + 1)]
    assert [reads.again(frame) is not None for frame in asked] == [False] * MOST + [True]


@given(states=COILS, start=st.integers(0, 150), count=st.integers(0, 130), strict=st.booleans())
def test_reading_coils_equals_the_model(states: list[int], start: int, count: int, strict: bool) -> None:
    image = im.Image()
    image.coils[FIRST : FIRST + len(states)] = bytes(states)
    asked = range(FIRST + start, FIRST + start + count)
    gaps = {im.COIL_GAP_OFF, im.COIL_GAP_ON} if strict else set()
    found = image.read_coils(FIRST + start, count, strict)
    if count < 1:
        assert found is Code.VALUE
    elif any(c > 65535 or image.coils[c] in gaps | {im.COIL_UNMAPPED} for c in asked):
        assert found is Code.ADDRESS
    elif any(image.coils[c] == im.COIL_LOST for c in asked):
        assert found is Code.NO_TARGET
    else:
        assert not isinstance(found, Code)
        on = [image.coils[c] in {im.COIL_ON, im.COIL_GAP_ON} for c in asked]
        assert [bool(found[n // 8] >> (n % 8) & 1) for n in range(len(found) * 8)] == on + [False] * (-count % 8)


def one_number(index: int, data: bytes) -> list[tuple[int, Value]]:
    return [(index, int.from_bytes(data, "big"))]


@given(
    widths=st.lists(st.sampled_from([1, 2, 4]), min_size=1, max_size=12),
    start=st.integers(0, 50),
    count=st.integers(1, 50),
)
def test_a_write_is_whole_values_or_nothing(widths: list[int], start: int, count: int) -> None:
    image, first, bounds = im.Image(), 0, [0]
    for index, width in enumerate(widths):
        target = im.Target(first, width, partial(one_number, index))
        for word in range(width):
            image.targets[first + word] = target
        first += width
        bounds.append(first)
    data = bytes(n % 251 for n in range(count * 2))
    if start + count > first or start not in bounds or start + count not in bounds:
        with pytest.raises(Refusal) as refused:
            register_values(image, start, data)
        assert refused.value.code is (Code.ADDRESS if start + count > first else Code.VALUE)
        return
    touched = range(bounds.index(start), bounds.index(start + count))
    assert register_values(image, start, data) == {
        n: int.from_bytes(data[(bounds[n] - start) * 2 : (bounds[n + 1] - start) * 2], "big") for n in touched
    }


def test_a_span_outside_the_map_is_refused() -> None:
    for first, count in ((65530, 7), (-1, 2), (5, 0)):
        with pytest.raises(ValueError, match="first"):
            im.Image().add_span(Span(1, first, count, 0))
