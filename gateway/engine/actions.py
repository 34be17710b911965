"""One-shot commands: a code written by a client sends its body once, and what came of it is shown (C15).

Rules of this file: only a change from 0 fires; nothing leaves before it is journaled, and nothing is ever sent again:
what nobody can tell (a restart, an answer that did not come) ends as `unknown`; an action is never kept for later, so
a product that cannot be reached now refuses it.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from gateway.core.action import ActionResult, fires
from gateway.core.errors import CommandRejected, Reject
from gateway.core.point import ActionSpec
from gateway.core.priority import Origin
from gateway.core.value import GOOD, Sample, Value
from gateway.engine.alarms import Alarms
from gateway.engine.performer import Ending, Performer
from gateway.engine.ports import Ask, Clock, Evidence, Journal, Source
from gateway.engine.relayout import Layout
from gateway.engine.resource import Resource
from gateway.engine.table import PointTable

JOURNAL_TRY_S = 1.0
JOURNAL_TRIES = 30
GATEWAY = Origin("gateway")
RESTARTED = "the gateway was restarted while it ran: whether the product carried it out is unknown; it is not repeated"
log = structlog.get_logger("actions")


@dataclass(eq=False, slots=True)
class Action:
    """One action of one resource: the code that stands, and what became of the last one that fired.

    `refusal` is the last one since a code was accepted: word by word the same, it is not written down again.
    `committing` is how many accepted writes are not on the disk yet.
    """

    index: int
    spec: ActionSpec
    resource: Resource
    code: int = 0
    result: ActionResult = ActionResult.NEVER_RUN
    text: str = ""
    refusal: tuple[Origin, str, str] | None = None
    committing: int = 0

    @property
    def running(self) -> bool:
        """Whether the last one has not ended."""
        return self.result is ActionResult.RUNNING

    @property
    def key(self) -> str:
        """Where the journal keeps it."""
        block = self.resource.name if self.resource.block is None else self.resource.block
        return f"{self.resource.source}/{self.resource.kind.name}/{block}/{self.spec.name}"

    @property
    def state(self) -> dict[str, Any]:
        """What survives a restart."""
        return {"code": self.code, "result": int(self.result), "text": self.text}


class ActionDesk:
    """All actions. A command desk asks `owns` and `judge` for each write, then has all of a request accepted."""

    def __init__(
        self,
        table: PointTable,
        clock: Clock,
        journal: Journal,
        alarms: Alarms,
        *,
        dry_run: bool = False,
        read_only: bool = False,
    ) -> None:
        self._table, self._clock, self._journal, self._alarms = table, clock, journal, alarms
        self._dry_run, self._read_only = dry_run, read_only
        self._restored = dict(journal.restored())
        self._actions: dict[int, Action] = {}
        self._due: asyncio.Queue[tuple[Action, int, Origin]] = asyncio.Queue()
        self._performer = Performer(table, clock, {}, lambda _source: False, self._sent)

    def connect(self, sources: Mapping[str, Source], is_up: Callable[[str], bool]) -> None:
        """Gives the way upstream, and what tells whether a source answers; called once, before run."""
        self._performer = Performer(self._table, self._clock, sources, is_up, self._sent)

    def learn(self, resource: Resource) -> None:
        """Takes on the actions of a resource that has appeared, as the last run left them; again is fine."""
        for spec in resource.kind.actions.values():
            index = resource.indices[spec.name]
            if index in self._actions:
                self._actions[index].spec = spec
                continue
            action = self._actions[index] = Action(index, spec, resource)
            self._restore(action)
            self._show(action)

    def running(self, resources: Container[Resource], layouts: Mapping[str, Layout]) -> list[str]:
        """Names of the actions that have not ended, of these resources or such as would be no more under `layouts`."""
        found = [
            a for a in self._actions.values() if a.running and (a.resource in resources or _is_left_out(a, layouts))
        ]
        return [self._table.names[action.index] for action in found]

    def forget(self, indices: Iterable[int]) -> None:
        """These points are no more; should they come back, a code that stands does not fire again."""
        for index in indices:
            action = self._actions.pop(index, None)
            if action is not None:
                self._restored[action.key] = action.state
                self._alarms.clear(f"action {action.key}")

    def retune(self, *, dry_run: bool, read_only: bool) -> None:
        """Other terms from now on; a code that was written in dry run stands, so that its repetition fires nothing."""
        if self._dry_run and not dry_run:
            for action in self._actions.values():
                action.text = ""
                self._show(action)
            self._journal.note({a.key: a.state for a in self._actions.values() if a.code}, ())
        self._dry_run, self._read_only = dry_run, read_only

    def _restore(self, action: Action) -> None:
        """A code that stood still stands, or a client that writes in a cycle would fire it again."""
        saved = self._restored.pop(action.key, None)
        if not isinstance(saved, dict) or self._dry_run:
            return
        action.code, action.text = int(saved["code"]), str(saved["text"])
        action.result = ActionResult(saved["result"])
        if action.running:
            self._end(action, Ending(ActionResult.UNKNOWN, RESTARTED), action.code, GATEWAY)
        elif action.code and action.result in (ActionResult.FAILED, ActionResult.UNKNOWN):
            self._alarm(action, action.code)

    # -- what a client asks --------------------------------------------------------------------------------------

    def owns(self, index: int) -> bool:
        """Whether the point is an action's code."""
        return index in self._actions

    def codes(self, index: int) -> list[tuple[int, str]]:
        """The codes of an action, each with what only its own body says, for people."""
        return list(_named_codes(self._actions[index].spec).items())

    def judge(self, ask: Ask, origin: Origin) -> bool:
        """Whether accepting this write would fire now.

        Raises:
            CommandRejected: it would not be accepted; the reason is in words, and shown beside the action.
        """
        action = self._actions[ask.index]
        try:
            return self._judge(action, ask.value)
        except CommandRejected as error:
            self._refused(action, ask.value, origin, error)
            raise

    def _refused(self, action: Action, value: Value | None, origin: Origin, error: CommandRejected) -> None:
        name, asked = self._table.names[action.index], json.dumps(value)
        log.warning("action.refused", point=name, origin=str(origin), value=value, reason=str(error))
        refusal = (origin, asked, str(error))
        again, action.refusal = action.refusal == refusal, refusal
        if not again:
            self._journal.note(
                {}, [Evidence("refused", name, origin, old=str(action.code), new=asked, answer=str(error))]
            )
        if not action.running:
            action.text = str(error)
            self._show(action)

    def _judge(self, action: Action, value: Value | None) -> bool:
        if value is None:
            raise CommandRejected(Reject.NOT_WRITABLE, "an action holds no slot that could be released; write 0")
        if isinstance(value, (str, bool)):
            raise CommandRejected(Reject.TYPE, f"a code is a whole number: {_codes(action.spec)}, and 0 between them")
        if value != 0 and value not in action.spec.codes:
            raise CommandRejected(Reject.RANGE, f"the codes are {_codes(action.spec)}, and 0 between two actions")
        if not fires(action.code, int(value), running=action.running):
            return False
        if self._read_only:
            raise CommandRejected(Reject.READ_ONLY, "this gateway is read-only: nothing is sent")
        if not self._dry_run and (why := self._performer.obstacle(action.resource)):
            raise CommandRejected(Reject.INHIBITED, f"not sent, and not kept for later: {why}")
        return True

    async def accept(self, asks: Sequence[Ask], origin: Origin) -> None:
        """Takes judged writes and fires what changes from 0; returns once the journal has answered.

        Everything that decides happens before the first wait, so that a repeated request finds the code standing.

        Raises:
            CommandRejected: as judge, when something changed since; nothing of this call was taken then.
        """
        fired = [self.judge(ask, origin) for ask in asks]
        states: dict[str, Any] = {}
        evidence: list[Evidence] = []
        for ask, fire in zip(asks, fired, strict=True):
            action, code = self._actions[ask.index], int(ask.value or 0)
            old, action.code, action.refusal = action.code, code, None
            if code == old:
                continue
            name = self._table.names[action.index]
            log.info("action.accepted", point=name, origin=str(origin), old=old, new=code, fires=fire)
            remark = "dry run" if self._dry_run else ""
            evidence.append(Evidence("accepted", name, origin, old=str(old), new=str(code), answer=remark))
            self._accepted(action, code, origin, fire=fire)
            states[action.key] = action.state
            self._show(action)
        touched = [self._actions[ask.index] for ask in asks]
        if evidence or any(action.committing for action in touched):
            await self._commit(touched, {} if self._dry_run else states, evidence)

    async def _commit(self, actions: Sequence[Action], states: Mapping[str, Any], evidence: Sequence[Evidence]) -> None:
        """Onto the disk; what only repeats a write that is not there yet waits for that one as well (C16)."""
        for action in actions:
            action.committing += 1
        try:
            await self._journal.commit(states, evidence)
        finally:
            for action in actions:
                action.committing -= 1

    def _accepted(self, action: Action, code: int, origin: Origin, *, fire: bool) -> None:
        self._alarms.clear(f"action {action.key}")
        if not fire:
            return
        if self._dry_run:
            action.text = f"dry run, would send {self._performer.preview(action.resource, action.spec, code)}"
            log.info("action.dry_run", point=self._table.names[action.index], would_send=action.text)
            return
        action.result, action.text = ActionResult.RUNNING, ""
        self._due.put_nowait((action, code, origin))

    # -- carrying out --------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Carries out what was accepted until cancelled; what is under way then ends as unknown at the next start."""
        async with asyncio.TaskGroup() as group:
            while True:
                action, code, origin = await self._due.get()
                group.create_task(self._carry_out(action, code, origin))

    async def _carry_out(self, action: Action, code: int, origin: Origin) -> None:
        if await self._is_journaled(action):
            ending = await self._performer.perform(action.resource, action.spec, code, origin)
        else:
            text = f"not sent: it could not be journaled first: {self._journal.fault}"
            ending = Ending(ActionResult.FAILED, text)
        self._end(action, ending, code, origin)

    async def _is_journaled(self, action: Action) -> bool:
        """Waits until a restart would know that it was begun; a disk that does not take that stops it (C15)."""
        for _ in range(JOURNAL_TRIES):
            if await self._journal.commit({action.key: action.state}, ()):
                return True
            await asyncio.sleep(JOURNAL_TRY_S)
        return False

    def _sent(self, resource: Resource, spec: ActionSpec, code: int, origin: Origin, answer: str) -> None:
        name = self._table.names[resource.indices[spec.name]]
        log.info("action.sent", point=name, code=code, answer=answer)
        self._journal.note({}, [Evidence("sent", name, origin, new=str(code), answer=answer)])

    def _end(self, action: Action, ending: Ending, code: int, origin: Origin) -> None:
        action.result, action.text = ending.result, ending.text
        word, name = ending.result.name.lower(), self._table.names[action.index]
        log.info("action.ended", point=name, result=word, reason=ending.text)
        self._journal.note(
            {action.key: action.state}, [Evidence(word, name, origin, new=str(code), answer=ending.text)]
        )
        if ending.result is not ActionResult.DONE:
            self._alarm(action, code)
        self._show(action)

    # -- what is shown -------------------------------------------------------------------------------------------

    def _alarm(self, action: Action, code: int) -> None:
        """Stands until the next write, 0 included: that shows that somebody has seen it."""
        name, word = self._table.names[action.index], action.result.name.lower()
        self._alarms.set(f"action {action.key}", f"{name}: code {code}: {word}: {action.text}")

    def _show(self, action: Action) -> None:
        now, indices, name = self._clock.monotonic(), action.resource.indices, action.spec.name
        shown: dict[str, Value] = {
            name: action.code,
            f"{name}.result": int(action.result),
            f"{name}.error_text": action.text,
        }
        self._table.update([(indices[point], Sample(value, GOOD, "", now)) for point, value in shown.items()])


def _is_left_out(action: Action, layouts: Mapping[str, Layout]) -> bool:
    layout = layouts.get(action.resource.source)
    if layout is None:
        return False
    return not any(kind.name == action.resource.kind.name and action.spec.name in kind.actions for kind in layout.kinds)


def _codes(spec: ActionSpec) -> str:
    """The codes for people: `1 Soft, 2 Hard`."""
    return ", ".join(f"{code} {text}".rstrip() for code, text in _named_codes(spec).items())


def _named_codes(spec: ActionSpec) -> dict[int, str]:
    """The codes, each with the text that only its own body sends."""
    texts = {code: _texts(body) for code, body in spec.codes.items()}
    found = Counter(text for own in texts.values() for text in own)
    return {code: " ".join(text for text in own if found[text] == 1) for code, own in texts.items()}


def _texts(body: Any) -> list[str]:
    """Every different text of a body that is no placeholder."""
    if isinstance(body, str):
        return [] if "{" in body else [body]
    inner = body.values() if isinstance(body, dict) else body if isinstance(body, list) else ()
    return list(dict.fromkeys(text for part in inner for text in _texts(part)))
