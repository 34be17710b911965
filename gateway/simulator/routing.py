"""Finds the handler of a path. `{name}` stands for a positive integer, `*` at the end for anything below."""

from collections.abc import Iterable
from typing import Generic, TypeVar

Handler = TypeVar("Handler")


def segments(path: str) -> tuple[str, ...]:
    """Splits a path; one trailing slash makes no difference."""
    return tuple(path.removesuffix("/").removeprefix("/").split("/"))


class Routes(Generic[Handler]):
    """A table of (method, pattern) to handler; words win over placeholders."""

    def __init__(self, table: Iterable[tuple[str, str, Handler]]) -> None:
        self._table = [(method, segments(pattern), handler) for method, pattern, handler in table]
        self._table.sort(key=lambda row: [part.startswith("{") for part in row[1]])

    def find(self, method: str, path: str) -> tuple[Handler, list[int]] | None:
        """Returns the handler and the integers of the path."""
        parts = segments(path)
        for wanted, pattern, handler in self._table:
            if wanted in (method, "*"):
                numbers = match(pattern, parts)
                if numbers is not None:
                    return handler, numbers
        return None


def match(pattern: tuple[str, ...], parts: tuple[str, ...]) -> list[int] | None:
    """Returns the integers a path gives to a pattern's placeholders, None when it does not fit."""
    if pattern[-1] == "*":
        pattern, parts = pattern[:-1], parts[: len(pattern) - 1]
    if len(pattern) != len(parts):
        return None
    numbers = []
    for wanted, part in zip(pattern, parts, strict=True):
        if wanted.startswith("{"):
            if not (part.isascii() and part.isdigit() and len(part) < 12):
                return None
            numbers.append(int(part))
        elif wanted != part:
            return None
    return numbers
