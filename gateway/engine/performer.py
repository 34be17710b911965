"""One action upstream: its body is sent once, and its end is followed.

Rules of this file: sent only in a session in which the name was resolved (C07); sent a second time only when the
product refused the first unread (401); an end that nobody can tell is `unknown`, never a guess.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.core.action import ActionResult
from gateway.core.errors import Ambiguous, BadAnswer, Refused, SessionLost, SourceError
from gateway.core.point import ActionSpec, FollowSpec
from gateway.core.priority import Origin
from gateway.core.value import Value, json_text, shorten
from gateway.engine.ports import ActionRequest, Clock, Source, Written
from gateway.engine.resource import Resource
from gateway.engine.table import PointTable

SESSION_WAIT_S = 60.0
LOOK_AGAIN_S = 0.1
DOUBTFUL = frozenset({500, 502, 504})
"""A product that answers so may have carried it out."""
OnSent = Callable[[Resource, ActionSpec, int, Origin, str], None]


@dataclass(frozen=True, slots=True)
class Ending:
    """How an action ended, and why in words."""

    result: ActionResult
    text: str = ""


class Performer:
    """Sends actions; `on_sent` is told of every body that the product answered."""

    def __init__(
        self,
        table: PointTable,
        clock: Clock,
        sources: Mapping[str, Source],
        is_up: Callable[[str], bool],
        on_sent: OnSent,
    ) -> None:
        self._table, self._clock, self._sources = table, clock, sources
        self._is_up, self._on_sent = is_up, on_sent

    def obstacle(self, resource: Resource) -> str:
        """Why nothing can be sent to a resource now, in words; "" when it can."""
        source, outer = self._sources.get(resource.source), resource.reader("")
        if not resource.usable:
            return resource.trouble or "it is not present"
        if not outer.usable:
            return outer.trouble or "what it belongs to is not present"
        if source is None or source.session_age_s is None or not self._is_up(resource.source):
            return f"{resource.source} is not connected"
        if outer.resolved != source.session_number:
            return f"the names of {resource.source} are being read"
        return ""

    def preview(self, resource: Resource, spec: ActionSpec, code: int) -> str:
        """The request that would leave now, in words."""
        source = self._sources.get(resource.source)
        if source is None or resource.trouble or resource.reader("").trouble:
            return "nothing yet: the product was not read"
        try:
            return source.preview(self._request(resource, spec, code))
        except SourceError as error:
            return f"nothing yet: {error}"

    async def perform(self, resource: Resource, spec: ActionSpec, code: int, origin: Origin) -> Ending:
        """Sends the body of `code` and follows it to its end."""
        refused = ""
        for _ in range(2):
            if why := await self._wait_until_ready(resource):
                return Ending(ActionResult.FAILED, f"not sent: {why}")
            request = self._request(resource, spec, code)
            try:
                answer = await self._sources[resource.source].act(request)
            except SessionLost as error:
                refused = str(error)
                continue
            except (Ambiguous, BadAnswer) as error:
                return await self._doubt(resource, spec, request, str(error))
            except Refused as error:
                if error.status in DOUBTFUL:
                    return await self._doubt(resource, spec, request, str(error))
                return Ending(ActionResult.FAILED, str(error))
            except SourceError as error:
                return Ending(ActionResult.FAILED, f"not sent: {error}")
            self._on_sent(resource, spec, code, origin, str(answer))
            return await self._answered(resource, spec, request, answer)
        return Ending(ActionResult.FAILED, f"not carried out: {refused}")

    async def _wait_until_ready(self, resource: Resource) -> str:
        """Waits for a new session in which the name is resolved again; why there was none, "" when there is."""
        deadline = self._clock.monotonic() + SESSION_WAIT_S
        while why := self.obstacle(resource):
            if self._clock.monotonic() >= deadline:
                return why
            await asyncio.sleep(LOOK_AGAIN_S)
        return ""

    def _request(self, resource: Resource, spec: ActionSpec, code: int) -> ActionRequest:
        values: dict[str, Value] = {}
        for name, index in resource.indices.items():
            value = self._table.good_value(index)
            if value is not None:
                values[f"point:{name}"] = value
        source = self._sources[resource.source]
        return ActionRequest(spec, code, resource.path_values, values, source.session_number)

    # -- how it ended --------------------------------------------------------------------------------------------

    async def _answered(self, resource: Resource, spec: ActionSpec, request: ActionRequest, answer: Written) -> Ending:
        if spec.follow is None:
            return Ending(ActionResult.DONE)
        result = json_text(spec.result(answer.document)) if spec.result is not None else ""
        if result is None:
            text = f"the product took it, and its answer has no {spec.result.text if spec.result else ''}: "
            return Ending(ActionResult.UNKNOWN, text + shorten(answer.document))
        return await self._follow(resource, spec.follow, request, result)

    async def _doubt(self, resource: Resource, spec: ActionSpec, request: ActionRequest, text: str) -> Ending:
        """Whether it was carried out is open; a status that needs nothing of the lost answer may still tell."""
        if spec.follow is None or spec.result is not None:
            return Ending(ActionResult.UNKNOWN, f"whether it was carried out is unknown: {text}")
        return await self._follow(resource, spec.follow, request, "")

    async def _follow(self, resource: Resource, follow: FollowSpec, request: ActionRequest, result: str) -> Ending:
        source = self._sources[resource.source]
        deadline, last = self._clock.monotonic() + follow.timeout_s, "the product said nothing"
        while self._clock.monotonic() < deadline:
            if resource.path_values != request.path_values:
                return Ending(ActionResult.UNKNOWN, "the product gave it another id meanwhile")
            try:
                said = await source.outcome(follow, request.path_values, result)
            except SourceError as error:
                last = str(error)
            else:
                if said in follow.done:
                    return Ending(ActionResult.DONE)
                if said in follow.failed:
                    return Ending(ActionResult.FAILED, f"the product says {shorten(said)}")
                last = f"the product last said {shorten(said)}"
            await asyncio.sleep(follow.every_s)
        return Ending(ActionResult.UNKNOWN, f"no end within {follow.timeout_s:g} s: {last}")
