"""What compiling collects: faults, warnings, inherited keys, and placeholders judged in one place."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, TypeVar

from gateway.config.strict_yaml import Document, KeyPath
from gateway.core.errors import Fault
from gateway.core.point import OnLoss, Path
from gateway.core.registers import Order
from gateway.mapping import models, paths

T = TypeVar("T")
BRACES = re.compile(r"\{([^{}]*)\}")
NOW = ("now:iso", "now:epoch", "now:epoch_ms")
END = ("end:iso", "end:epoch", "end:epoch_ms")


@dataclass(slots=True)
class Findings:
    """What was found wrong (faults) or doubtful (warnings) in one document."""

    document: Document
    faults: list[Fault] = field(default_factory=list)
    warnings: list[Fault] = field(default_factory=list)

    def fault(self, path: KeyPath, text: str) -> None:
        self.faults.append(self.document.fault(self._written(path), text))

    def warning(self, path: KeyPath, text: str) -> None:
        self.warnings.append(self.document.fault(self._written(path), text))

    def _written(self, path: KeyPath) -> KeyPath:
        """The path as it stands in the file: `modbus: {...}` is a list of one without an index."""
        written: KeyPath = ()
        for part in path:
            if part == 0 and (*written, part) not in self.document.marks:
                continue
            written = (*written, part)
        return written

    def path(self, at: KeyPath, texts: str | list[str]) -> Path:
        """Compiles a path; a broken one becomes a fault and a path that finds nothing."""
        texts = [texts] if isinstance(texts, str) else texts
        try:
            if any(paths.negates_left(text) for text in texts):
                self.warning(at, "in JMESPath `!a.b` negates `a`; write a.b == `false`")
            return paths.first_of(texts)
        except ValueError as error:
            self.fault(at, f"{error}: {' || '.join(texts)}".removesuffix(": "))
            return Path("", lambda _document: None)

    def keyed(self, at: KeyPath, text: str) -> tuple[Path, bool]:
        """A path that may be `@key`, the key of an object's member."""
        if text.strip() == paths.KEY:
            return Path(paths.KEY, lambda _document: None), True
        if paths.KEY in text:
            self.fault(at, f"`{paths.KEY}` stands alone: {text}")
            return Path("", lambda _document: None), False
        return self.path(at, text), False

    def url(self, at: KeyPath, text: str, allowed: Collection[str]) -> None:
        """Judges the path of a request."""
        if not text.startswith("/"):
            self.fault(at, f"must begin with / (found {text!r})")
        self._braces(at, text, allowed)

    def body(self, at: KeyPath, body: Any, allowed: Collection[str], points: Collection[str]) -> None:
        """Judges the placeholders of a body template."""
        self._braces(at, body, [*allowed, *NOW], points)

    def _braces(self, at: KeyPath, template: Any, allowed: Collection[str], points: Collection[str] = ()) -> None:
        for found in sorted(placeholders(template)):
            head, _, name = found.partition(":")
            if found in allowed or (head == "point" and name in points):
                continue
            if head == "point" and points:
                self.fault(at, f"there is no point {name!r} in this resource")
                continue
            shown = " ".join(f"{{{one}}}" for one in [*allowed, *(["point:NAME"] if points else [])])
            self.fault(at, f"{{{found}}} is no placeholder here; allowed: {shown or 'none'}")


@dataclass(frozen=True, slots=True)
class Nearest:
    """The inheritable keys; the nearest wins."""

    stale_after_s: float | None = None
    on_source_loss: OnLoss | None = None
    word_order: Order | None = None
    byte_order: Order | None = None
    description: str | None = None

    def under(self, model: models.Inherited) -> Nearest:
        def nearest(mine: T | None, theirs: T | None) -> T | None:
            return theirs if mine is None else mine

        return Nearest(
            nearest(model.stale_after_s, self.stale_after_s),
            nearest(model.on_source_loss, self.on_source_loss),
            nearest(model.word_order, self.word_order),
            nearest(model.byte_order, self.byte_order),
            nearest(model.description, self.description),
        )


def placeholders(template: Any) -> set[str]:
    """What stands in braces anywhere in the texts of a template."""
    if isinstance(template, dict):
        return set().union(*(placeholders(value) for value in template.values()))
    if isinstance(template, list):
        return set().union(*(placeholders(item) for item in template))
    return set(BRACES.findall(template)) if isinstance(template, str) else set()
