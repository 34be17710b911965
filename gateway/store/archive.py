"""Evidence that has left the database: `evidence-<first>-<last>.jsonl.gz`, written once and never changed."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.store.chain import BrokenLine, Head, parse
from gateway.store.files import replace

_NAME = re.compile(r"evidence-(\d{12})-(\d{12})\.jsonl\.gz")


@dataclass(frozen=True, slots=True)
class Segment:
    """One file with the records `first` to `last`."""

    path: Path
    first: int
    last: int

    def lines(self) -> Iterator[str]:
        """Its records' lines.

        Raises:
            BrokenLine: the file cannot be read, or does not hold what its name says.
        """
        number = self.first
        try:
            with gzip.open(self.path, "rt", encoding="ascii", newline="\n") as file:
                for line in file:
                    yield line.rstrip("\n")
                    number += 1
        except (OSError, EOFError, ValueError, zlib.error) as error:
            raise BrokenLine(f"{self.path.name} cannot be read: {error}") from error
        if number != self.last + 1:
            raise BrokenLine(f"{self.path.name} ends at record {number - 1}")

    def head(self) -> Head:
        """Its last record, without a hash when the file is broken."""
        try:
            *_, last = self.lines()
            return Head(self.last, parse(last)["hash"])
        except (BrokenLine, ValueError):
            return Head(self.last, "")


def segments(folder: Path) -> list[Segment]:
    """All files of a state directory, oldest first."""
    found = ((path, _NAME.fullmatch(path.name)) for path in folder.glob("evidence-*.jsonl.gz"))
    return sorted((Segment(path, int(m[1]), int(m[2])) for path, m in found if m), key=lambda segment: segment.first)


def write_segment(folder: Path, first: int, lines: Sequence[str]) -> Segment:
    """Writes consecutive records into a new file; raises OSError."""
    last = first + len(lines) - 1
    path = folder / f"evidence-{first:012}-{last:012}.jsonl.gz"
    text = "".join(f"{line}\n" for line in lines).encode("ascii")
    replace(path, gzip.compress(text, compresslevel=1, mtime=0), 0o600)
    return Segment(path, first, last)


def surplus(found: Sequence[Segment], most_bytes: int) -> list[Segment]:
    """The oldest files that must go so that the others stay within the limit; the newest always stays."""
    sizes = [segment.path.stat().st_size for segment in found]
    count = 0
    while count < len(found) - 1 and sum(sizes[count:]) > most_bytes:
        count += 1
    return list(found[:count])
