"""Whether a client's writes may be accepted: access, slot, type, range, floor, and whether the client lives (C02, C05).

Rules of this file: nothing is changed here but the refused point's error; one refusal refuses the whole request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import structlog

from gateway.core.errors import CommandRejected, Reject
from gateway.core.priority import Origin, PriorityArray
from gateway.engine.keeper import Write
from gateway.engine.ledger import Ledger
from gateway.engine.ports import Ask
from gateway.engine.setpoint import Setpoint
from gateway.engine.supervision import Supervision
from gateway.engine.table import PointTable

log = structlog.get_logger("commands")


class Judge:
    """Judges writes on points and on their `release` points, both by table index; `show` is told of refusals."""

    def __init__(
        self,
        table: PointTable,
        points: Mapping[int, Setpoint],
        releases: Mapping[int, Setpoint],
        supervision: Supervision,
        ledger: Ledger,
        show: Callable[[Setpoint], None],
    ) -> None:
        self._table, self._points, self._releases = table, points, releases
        self._supervision, self._ledger, self._show = supervision, ledger, show

    def writes(self, asks: Sequence[Ask], origin: Origin) -> list[Write]:
        """What the asks mean; one that means nothing is left out.

        Raises:
            CommandRejected: the first reason, in words.
        """
        judged: list[Write] = []
        for ask in asks:
            try:
                write = self._judge(ask, origin)
            except CommandRejected as error:
                self._note_refusal(ask, origin, error)
                raise
            if write is not None:
                judged.append(write)
        return judged

    def _judge(self, ask: Ask, origin: Origin) -> Write | None:
        released = self._releases.get(ask.index)
        if not PriorityArray.usable(ask.slot):
            raise CommandRejected(Reject.SLOT, f"slot {ask.slot} cannot be written (1..16, not 6)")
        if released is not None and ask.value not in (0, 1):
            raise CommandRejected(Reject.RANGE, "release takes 1")
        if released is not None and not ask.value:
            return None
        point = released or self._points.get(ask.index)
        if point is None:
            raise CommandRejected(Reject.NOT_WRITABLE, "this point cannot be written")
        value = None if released is not None or ask.value is None else point.judged(ask.value)
        self._supervision.admit(point, ask.slot, origin)
        return Write(point, ask.slot, value, self._supervision.lease(point, ask, origin))

    def _note_refusal(self, ask: Ask, origin: Origin, error: CommandRejected) -> None:
        name = self._table.names[ask.index]
        log.warning(
            "command.refused", point=name, origin=str(origin), slot=ask.slot, value=ask.value, reason=str(error)
        )
        point = self._points.get(ask.index) or self._releases.get(ask.index)
        if point is not None:
            point.error, point.error_text = int(error.reject), str(error)
            self._ledger.refused(point, origin, ask.slot, ask.value, str(error))
            self._show(point)
