"""EVCE's endpoints: what each does with the model, and the tables of what is allowed and what is forbidden.

`ROUTES` is the guide's table "EBMS permissions"; `FORBIDDEN` is what `facts.md` section 2 knows of besides.
A missing id raises KeyError, a bad body BadBodyError; the product turns both into answers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.simulator.commands import COMMANDS
from gateway.simulator.equipment import Meter, Station, Zone
from gateway.simulator.exchange import Answer, BadBodyError, Request, parse_json
from gateway.simulator.routing import Routes
from gateway.simulator.shapes import exact, one_of, same_object, text, whole
from gateway.simulator.stores import Stores

if TYPE_CHECKING:
    from gateway.simulator.evce_product import EvceProduct

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Call:
    """A request that passed authentication; `numbers` are the ids in its path."""

    request: Request
    numbers: list[int]
    now: float
    wall: float

    def body(self) -> object:
        """Parses the JSON body."""
        if self.request.content_type.partition(";")[0].strip().lower() != JSON:
            raise BadBodyError(f"Content-Type must be {JSON}")
        return parse_json(self.request.body)


def _station(product: "EvceProduct", call: Call) -> Station:
    return product.site.stations[call.numbers[0]]


def _zone(product: "EvceProduct", call: Call) -> Zone:
    return product.site.zones[call.numbers[0]]


def _meter(product: "EvceProduct", call: Call) -> Meter:
    return product.site.meters[call.numbers[0]]


def _logout(product: "EvceProduct", call: Call) -> Answer:
    product.accounts.revoke()
    return Answer(200)


def _put_station(product: "EvceProduct", call: Call) -> Answer:
    station = _station(product, call)
    change = product.dialect.parse_station(call.body(), station)
    if product.apply_writes:
        station.name, station.max_a = change.name, change.max_a
        station.phases, station.priority = change.phases, change.priority
        product.site.touch(station)
    return Answer(200, {})


def _put_zone(product: "EvceProduct", call: Call) -> Answer:
    zone = _zone(product, call)
    change = product.dialect.parse_zone(call.body(), zone)
    if product.apply_writes:
        zone.name, zone.kind, zone.max_a = change.name, change.kind, change.max_a
        product.site.reallocate(zone)
    return Answer(200, {})


def _put_meter(product: "EvceProduct", call: Call) -> Answer:
    meter = _meter(product, call)
    change = product.dialect.parse_meter(call.body(), meter)
    if change.model not in product.stores.meter_models:
        raise BadBodyError(f"no power meter model has the id {change.model}")
    if product.apply_writes:
        meter.name, meter.model = change.name, change.model
        meter.address, meter.port = change.address, change.port
    return Answer(200, {})


def _put_reduction(product: "EvceProduct", call: Call) -> Answer:
    zone = _zone(product, call)
    reduction = product.dialect.parse_reduction(call.body(), zone)
    if reduction.until_s is not None and reduction.until_s <= call.wall:
        raise BadBodyError("the end of the reduction is in the past")
    if product.apply_writes:
        product.set_reduction(zone, reduction, call.now, call.wall)
    return Answer(200, {})


def _post_command(product: "EvceProduct", call: Call, name: str) -> Answer:
    station = _station(product, call)
    empty = not call.request.body and name in ("get_configuration", "get_diagnostics")
    arguments = product.dialect.parse_command(name, {} if empty else call.body())
    return Answer(200, product.dialect.command(product.desk.post(station, name, arguments)))


def _command_status(product: "EvceProduct", call: Call) -> Answer:
    command = product.desk.commands[call.numbers[1]]
    if command.station is not _station(product, call):
        raise KeyError(call.numbers[1])
    return Answer(200, product.dialect.command_status(command))


def _post_firmware(product: "EvceProduct", call: Call) -> Answer:
    members = {
        "file_name": text(255, 1),
        "station_type": one_of(Stores.station_type),
        "version": text(32, 1),
    }
    given = exact(call.body(), members)
    firmware = product.stores.add_firmware(given["file_name"], given["station_type"], given["version"])
    return Answer(200, {"id": firmware.id})


def _station_firmware(product: "EvceProduct", call: Call) -> Answer:
    version = _station(product, call).firmware
    stored = [row["id"] for row in product.stores.firmware_list() if row["version"] == version]
    return Answer(200, {"version": version, "firmware_id": stored[0] if stored else None})


def _put_model(product: "EvceProduct", call: Call) -> Answer:
    current = product.stores.model(call.numbers[0])
    body = call.body()
    register = {"name": text(64, 1), "address": whole(0, 65535), "function": whole(3, 4), "type": text(16, 1)}

    def registers(value: object) -> bool:
        return isinstance(value, list) and all(exact(row, register, "register") for row in value)

    same_object(body, current, {"desc.name": text(64, 1), "desc.registers": registers})
    if product.apply_writes and isinstance(body, dict):
        model = product.stores.meter_models[call.numbers[0]]
        model.name, model.registers = body["desc"]["name"], body["desc"]["registers"]
    return Answer(200, {})


_Handler = Callable[["EvceProduct", Call], Answer]


def _show(render: Callable[["EvceProduct", Call], object]) -> _Handler:
    return lambda product, call: Answer(200, render(product, call))


def _command(name: str) -> _Handler:
    return lambda product, call: _post_command(product, call, name)


def _present(product: "EvceProduct", call: Call) -> int:
    return _station(product, call).id


def _diagnostics_of(product: "EvceProduct", call: Call) -> object:
    return product.stores.report_list(_present(product, call))


_STATION_MODELS = [{"type": Stores.station_type, "name": "EVlink Pro AC", "max_current": 32, "phases": 3}]
ROUTES: Routes[_Handler] = Routes(
    [
        ("POST", "/login/logout", _logout),
        ("POST", "/login/passwd", lambda p, c: p.accounts.change_password(*p.dialect.parse_passwd(c.body()))),
        ("GET", "/stations", _show(lambda p, c: p.dialect.stations(p.site))),
        ("GET", "/stations/statuses", _show(lambda p, c: p.dialect.statuses(p.site))),
        ("GET", "/stations/models", _show(lambda p, c: _STATION_MODELS)),
        ("GET", "/stations/firmwares", _show(lambda p, c: p.stores.firmware_list())),
        ("POST", "/stations/firmwares", _post_firmware),
        ("GET", "/stations/firmwares/{id}", _show(lambda p, c: p.stores.firmware(c.numbers[0]))),
        ("GET", "/stations/diagnostics", _show(lambda p, c: p.stores.report_list())),
        (
            "POST",
            "/stations/diagnostics/export",
            lambda p, c: Answer(200, raw=p.stores.archive(), content_type="application/zip"),
        ),
        ("GET", "/stations/{id}", _show(lambda p, c: p.dialect.station(_station(p, c)))),
        ("PUT", "/stations/{id}", _put_station),
        ("GET", "/stations/{id}/status", _show(lambda p, c: p.dialect.status(_station(p, c), p.site.now))),
        ("GET", "/stations/{id}/firmware", _station_firmware),
        ("GET", "/stations/{id}/diagnostics", _show(_diagnostics_of)),
        ("POST", "/stations/{id}/diagnostics", _command("get_diagnostics")),
        ("GET", "/stations/{id}/cmds/status/{cmd}", _command_status),
        *(("POST", f"/stations/{{id}}/cmds/{name}", _command(name)) for name in COMMANDS),
        ("GET", "/em/zones", _show(lambda p, c: p.dialect.zones(p.site))),
        ("GET", "/em/zones/{id}", _show(lambda p, c: p.dialect.zone(_zone(p, c)))),
        ("PUT", "/em/zones/{id}", _put_zone),
        ("GET", "/em/zones/{id}/status", _show(lambda p, c: p.dialect.zone_status(_zone(p, c)))),
        ("GET", "/em/zones/{id}/reduction", _show(lambda p, c: p.dialect.reduction(_zone(p, c)))),
        ("PUT", "/em/zones/{id}/reduction", _put_reduction),
        ("GET", "/em/zones/{id}/stations", _show(lambda p, c: p.dialect.zone_stations(_zone(p, c)))),
        ("GET", "/pms", _show(lambda p, c: p.dialect.meters(p.site))),
        ("GET", "/pms/{id}", _show(lambda p, c: p.dialect.meter(_meter(p, c)))),
        ("PUT", "/pms/{id}", _put_meter),
        ("GET", "/pms/{id}/values", _show(lambda p, c: p.dialect.meter_values(p.site, _meter(p, c), c.wall))),
        ("GET", "/pms/models", _show(lambda p, c: [p.stores.model(n) for n in p.stores.meter_models])),
        ("GET", "/pms/models/{id}", _show(lambda p, c: p.stores.model(c.numbers[0]))),
        ("PUT", "/pms/models/{id}", _put_model),
    ]
)
FORBIDDEN: Routes[None] = Routes(
    [
        *(
            ("*", f"/{name}/*", None)
            for name in (
                "licences",
                "users",
                "authent",
                "transactions",
                "discovery",
                "em/timeofuse",
                "em/dis",
                "config",
                "maintenance",
                "logger",
                "certificates/ca",
                "stations/cpos",
            )
        ),
        ("POST", "/stations", None),
        ("DELETE", "/stations/{id}", None),
        ("POST", "/em/zones", None),
        ("DELETE", "/em/zones/{id}", None),
        ("POST", "/em/zones/{id}/stations", None),
        ("DELETE", "/em/zones/{id}/stations", None),
        ("POST", "/pms", None),
        ("DELETE", "/pms/{id}", None),
    ]
)
