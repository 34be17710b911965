"""The check of a chain that is long: shared by all who ask, told how far it is, and ended when nobody waits."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest

from gateway.app.page import walk
from gateway.app.page.walk import Abandoned, ChainWalk, paced
from gateway.core.errors import GatewayError
from gateway.core.priority import Origin
from gateway.engine.ports import Evidence
from gateway.store.chain import Head, line_of
from tests.site import until

MANY = 3000


class Book:
    """An evidence whose second half comes only when it is let."""

    def __init__(self) -> None:
        self.head, self._lines, self.opened = Head(), [], 0
        self.half, self.go_on = threading.Event(), threading.Event()
        for number in range(MANY):
            line, self.head = line_of(self.head, 1e9 + number, Evidence("sent", "p", Origin("gateway"), 0))
            self._lines.append(line)

    def open(self) -> Book:
        self.opened += 1
        return self

    def lines(self) -> Iterator[str]:
        for number, line in enumerate(self._lines):
            if number == MANY // 2:
                self.half.set()
                assert self.go_on.wait(10)
            yield line


@pytest.fixture
def book() -> Iterator[Book]:
    book = Book()
    yield book
    book.go_on.set()


async def test_who_asks_while_the_chain_is_walked_is_told_how_far_it_is_and_waits_for_the_same_walk(book: Book) -> None:
    walked = ChainWalk(book.open, wait_s=0.05)
    assert await asyncio.to_thread(book.half.wait, 0) is False
    for _ in range(2):
        with pytest.raises(GatewayError, match=r"\d records are checked and good so far; verify again"):
            await walked.verdict()
    assert book.opened == 1
    await until(book.half.is_set)
    book.go_on.set()
    walked = ChainWalk(book.open)
    first, second = await asyncio.gather(walked.verdict(), walked.verdict())
    assert (first.records, first.broken, first.head) == (MANY, "", book.head)
    assert second is first
    assert book.opened == 2
    assert (await walked.verdict()).records == MANY
    assert book.opened == 3, "a later question is answered from the chain as it is then"


async def test_a_walk_ends_when_the_gateway_stops(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "WORKS_S", 0.0)
    walked = ChainWalk(book.open, wait_s=0.05)
    with pytest.raises(GatewayError):
        await walked.verdict()
    await until(book.half.is_set)
    walked.forget()
    book.go_on.set()
    await until(lambda: walked._walking is None)


def test_a_thread_that_reads_a_long_file_rests() -> None:
    looks: list[int] = []

    def slow() -> Iterator[str]:
        for _ in range(64):
            time.sleep(0.0005)
            yield "x"

    assert list(paced(slow(), looks.append)) == ["x"] * 64
    assert looks == [16, 32, 48]

    def stop(_count: int) -> None:
        raise Abandoned("over")

    with pytest.raises(Abandoned):
        list(paced(slow(), stop))
