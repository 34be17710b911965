"""The Bender controller as a function from request to answer: REST API v1.0 below /v1.

Source: the vendor's API reference; paths of messages, dashboard and app settings, and the members the
reference shows collapsed, are assumed. Errors are {"success": false, "cause"}.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gateway.simulator.charger import Charger
from gateway.simulator.charger_login import CODE_NOT_LOGGED_IN, ChargerLogin
from gateway.simulator.charger_settings import APP_KEYS, PARAMETERS, Settings
from gateway.simulator.exchange import Answer, BadBodyError, Request, iso_time, parse_iso_time, parse_json
from gateway.simulator.routing import Routes
from gateway.simulator.shapes import exact

BASE = "/v1"
LONGEST_QUERY = 4000


@dataclass(frozen=True, slots=True)
class Visitor:
    """A request that passed authentication; `skew_s` is how far the product's clock is ahead."""

    request: Request
    skew_s: float


class BenderProduct:
    """One controller: its charger, its login and its endpoints."""

    charger: Charger
    login: ChargerLogin

    def __init__(self, charger: Charger, login: ChargerLogin, name: str) -> None:
        self.charger = charger
        self.login = login
        self.name = name

    def handle(self, request: Request, now: float, skew_s: float) -> Answer:
        """Answers one request at the model time `now`."""
        self.charger.advance(now)
        if not request.path.startswith(BASE + "/"):
            return Answer(404)
        path = request.path.removeprefix(BASE)
        try:
            if path.removesuffix("/") == "/login":
                return self._log_in(request, now)
            if not self.login.check(request.authorization, now):
                refused = {"logged_in": False, "message": "Not logged in", "code": CODE_NOT_LOGGED_IN}
                return Answer(401, refused)
            found = _ROUTES.find(request.method, path)
            return failure(404, "invalid path") if found is None else found[0](self, Visitor(request, skew_s))
        except BadBodyError as error:
            return failure(400, str(error))

    def _log_in(self, request: Request, now: float) -> Answer:
        if request.method == "GET":
            return self.login.token()
        if request.method == "POST":
            return self.login.login(_body(request), now)
        return failure(404, "invalid path")


_Handler = Callable[[BenderProduct, Visitor], Answer]


def failure(status: int, cause: str) -> Answer:
    """An error answer in the vendor's style."""
    return Answer(status, {"success": False, "cause": cause})


def _body(request: Request) -> object:
    if request.content_type.partition(";")[0].strip().lower() != "application/json":
        raise BadBodyError("Content-Type must be application/json")
    return parse_json(request.body)


def _logout(product: BenderProduct, visitor: Visitor) -> Answer:
    product.login.revoke()
    return Answer(200, {"logged_in": False})


def _state(product: BenderProduct, visitor: Visitor) -> Answer:
    return Answer(200, product.charger.state(visitor.skew_s))


def _refresh(product: BenderProduct, visitor: Visitor) -> Settings:
    settings = product.charger.settings
    settings.values["SysTime_mon"] = iso_time(product.charger.now + visitor.skew_s)
    return settings


def _shown(product: BenderProduct, result: dict[str, Any], keys: tuple[str, ...]) -> Answer:
    groups: dict[str, list[str]] = {}
    for key in keys:
        groups.setdefault(key.rpartition("_")[2], []).append(key)
    return Answer(
        200,
        {
            "name": "settings",
            "result": result,
            "groups": [{"name": name, "params": params} for name, params in groups.items()],
            "ChargePointInfo": {"name": product.name, "model": "CC613", "firmware": "5.32.1"},
        },
    )


def _get_settings(product: BenderProduct, visitor: Visitor) -> Answer:
    settings, request = _refresh(product, visitor), visitor.request
    named = request.query.get("params")
    if named is None and not request.body:
        keys = tuple(PARAMETERS)
        return _shown(product, settings.described(keys), keys)
    if named is None:
        strings = {"params": lambda rows: isinstance(rows, list) and all(isinstance(row, str) for row in rows)}
        wanted = list(exact(_body(request), strings)["params"])
    elif len(named) > LONGEST_QUERY:
        return failure(414, f"params is longer than {LONGEST_QUERY} characters")
    else:
        wanted = named.split(",")
    return _shown(product, settings.values_of(wanted), tuple(wanted))


def _post_settings(product: BenderProduct, visitor: Visitor) -> Answer:
    values = product.charger.settings.parse(_body(visitor.request))
    product.charger.write(values)
    written = [{"key": key, "value": value} for key, value in values.items()]
    reboot = any(PARAMETERS[key].reboot for key in values)
    return Answer(200, {"params": written, "reboot_required": reboot})


def _span(visitor: Visitor) -> tuple[float, float]:
    start, end = visitor.request.query.get("from"), visitor.request.query.get("to")
    first = float("-inf") if start is None else parse_iso_time(start) - visitor.skew_s
    return first, float("inf") if end is None else parse_iso_time(end) - visitor.skew_s


def _transactions(product: BenderProduct, visitor: Visitor) -> Answer:
    skew_s = visitor.skew_s
    rows = [
        {
            "id": done.id,
            "start": iso_time(done.start + skew_s, milliseconds=True),
            "end": iso_time(done.end + skew_s, milliseconds=True),
            "duration_s": int(done.end - done.start),
            "energy_wh": int(done.energy_wh),
            "id_tag": done.id_tag,
        }
        for done in product.charger.transactions(*_span(visitor))
    ]
    return Answer(200, rows)


def _summary(product: BenderProduct, visitor: Visitor) -> Answer:
    found = product.charger.transactions(*_span(visitor))
    summary = {
        "transactionCount": len(found),
        "totalDuration": int(sum(done.end - done.start for done in found)),
        "totalConsumption": int(sum(done.energy_wh for done in found)),
    }
    return Answer(200, summary)


def _active(product: BenderProduct, visitor: Visitor) -> Answer:
    return Answer(200, {"success": product.charger.running is not None})


def _messages(product: BenderProduct, visitor: Visitor) -> Answer:
    return Answer(200, {"messages": product.charger.messages})


def _app_settings(product: BenderProduct, visitor: Visitor) -> Answer:
    return _shown(product, _refresh(product, visitor).described(APP_KEYS), APP_KEYS)


def _dashboard(product: BenderProduct, visitor: Visitor) -> Answer:
    moment = iso_time(product.charger.now + visitor.skew_s)
    shown = {"name": "dashboard", "ControllerTime_custom": f"{moment[:10]} {moment[11:16]}"}
    return Answer(200, {**shown, "settings_changed": False, "groups": [], "GraphicDashboard": []})


_ROUTES: Routes[_Handler] = Routes(
    [
        ("POST", "/logout", _logout),
        ("GET", "/system_state", _state),
        ("GET", "/settings", _get_settings),
        ("POST", "/settings", _post_settings),
        ("GET", "/app_settings", _app_settings),
        ("GET", "/dashboard", _dashboard),
        ("GET", "/messages", _messages),
        ("GET", "/transactions", _transactions),
        ("GET", "/transactions/summary", _summary),
        ("GET", "/transactions/active", _active),
    ]
)
