"""`evce-gateway read`, `write` and `release`: one point of the running gateway, and who holds it."""

from __future__ import annotations

import difflib
import json
import re
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from gateway.app.load import load_site
from gateway.cli import show
from gateway.cli.ask import DEFAULT, ConfigFile, Json, ask
from gateway.cli.codes import DONE, USAGE
from gateway.config.duration import duration
from gateway.web import ControlError

ALIKE = 0.8
UNTIL_TEXT = "say --until as 18:30, 2026-12-24T18:30 or +2h (s, m, h or d), in the future"


def read(point: str, *, config: ConfigFile = DEFAULT, json_: Json = False) -> int:
    """Show one point of the running gateway; of a commandable one who holds which slot, how long, and its receipt."""
    row = _ask(config, "/read", {"point": point})
    _show_row(row, json_=json_)
    return DONE


def write(
    point: str,
    value: Annotated[str, Parameter(allow_leading_hyphen=True)],
    *,
    slot: int | None = None,
    until: str | None = None,
    config: ConfigFile = DEFAULT,
    json_: Json = False,
) -> int:
    """Write a commandable point of the running gateway, in the point's own unit. It ends by itself, after 1 h.

    Args:
        point: full name, e.g. "evce/zone/Zone B/reduction"; or an action, e.g. "evce/station/Bay 001/reset".
        value: a number, true, false, or a state text; of an action its code, and 0 before the next one.
        slot: priority slot, `control.local_slot` if not given.
        until: when the value is released: 18:30 (today or tomorrow), 2026-12-24T18:30, or +2h; in 1 h if not given.
    """
    end = None if until is None else end_of(until, time.time())
    if until is not None and end is None:
        show.err.print(show.clean(f"{until!r} is no end: {UNTIL_TEXT}"))
        return USAGE
    _submit(config, {"point": point, "value": _value(value), "slot": slot, "until": end}, json_=json_)
    return DONE


def release(point: str, *, slot: int | None = None, config: ConfigFile = DEFAULT, json_: Json = False) -> int:
    """Give a slot of a commandable point back; the next one, or the default, becomes effective.

    Args:
        point: full name, e.g. "evce/zone/Zone B/reduction".
        slot: priority slot, `control.local_slot` if not given; 10 is what a BMS writes over Modbus by default.
    """
    _submit(config, {"point": point, "value": None, "slot": slot, "until": None}, json_=json_)
    return DONE


def end_of(text: str, now: float) -> float | None:
    """The moment that `--until` means, Unix time; None when it means none in the future.

    A time of day is the next such time, and what names no time zone is in this machine's.
    """
    if text.startswith("+"):
        try:
            return now + duration(text[1:])
        except ValueError:
            return None
    clock = re.fullmatch(r"([01]?[0-9]|2[0-3]):([0-5][0-9])", text)
    if clock is not None:
        here = datetime.fromtimestamp(now).astimezone()
        end = here.replace(hour=int(clock[1]), minute=int(clock[2]), second=0, microsecond=0, tzinfo=None)
        if end.astimezone() <= here:
            end += timedelta(days=1)
        return end.timestamp()
    try:
        moment = datetime.fromisoformat(text).timestamp() if "T" in text else now
    except (ValueError, OverflowError, OSError):
        return None
    return moment if moment > now else None


def _submit(config: Path, body: dict[str, Any], *, json_: bool) -> None:
    row = _ask(config, "/write", body)
    _show_row(row, json_=json_)


def _ask(config: Path, what: str, body: dict[str, Any]) -> dict[str, Any]:
    """The row of a point; a name that there is not is told with one that looks like it.

    Names are compared here and not in the gateway, where nothing may take long.

    Raises:
        ControlError: as ask.
    """
    site = load_site(config)
    try:
        row: dict[str, Any] = ask(site, "POST", what, body)
    except ControlError as error:
        if not error.unknown:
            raise
        names = [known["point"] for known in ask(site, "GET", "/points")]
        alike = difflib.get_close_matches(body["point"], names, n=1, cutoff=ALIKE)
        hint = f"; did you mean {alike[0]!r}?" if alike else ""
        raise ControlError(f"{error}{hint}", reached=True) from error
    return row


def _show_row(row: dict[str, Any], *, json_: bool) -> None:
    if json_:
        show.show_json(row)
        return
    show.out.print(show.point_table([row]))
    for number, slot in row.get("slots", {}).items():
        show.out.print(f"  slot {number}: {show.slot_text(slot)}")
    for name, value in row.get("receipt", {}).items():
        show.out.print(f"  {name}: {show.clean(value)}")


def _value(text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, (int, float, bool, str)) else text
