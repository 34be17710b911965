"""The commands of `evce-gateway`."""

from __future__ import annotations

import asyncio
import faulthandler
import getpass
import os
import signal
import sys
from pathlib import Path
from typing import Any, Literal

from cyclopts import App
from cyclopts.exceptions import CycloptsError

from gateway import __version__, telemetry
from gateway.app.kept import site_to_run
from gateway.app.load import load_site
from gateway.app.loop import run_loop
from gateway.app.offline import offline_points
from gateway.app.openapi import openapi_findings, saved_findings
from gateway.app.published import move_faults, refused_moves
from gateway.cli import show
from gateway.cli.addresses import addresses
from gateway.cli.ask import DEFAULT, AcceptMoves, ConfigFile, Json, ask, ask_reload
from gateway.cli.backup import backup, restore
from gateway.cli.checkout import checkout
from gateway.cli.clients import show_clients
from gateway.cli.codes import DONE, FAULTS, NOT_REACHED, REFUSED, USAGE
from gateway.cli.discover import discover
from gateway.cli.evidence import evidence
from gateway.cli.export import export
from gateway.cli.passwd import passwd
from gateway.cli.plan import plan
from gateway.cli.trust import trust
from gateway.cli.user import user
from gateway.cli.wipe import wipe
from gateway.cli.write import read, release, write
from gateway.config.described import config_schema
from gateway.core.errors import ConfigError, GatewayError
from gateway.mapping import mapping_schema
from gateway.web import ControlError

app = App(
    name="evce-gateway",
    version=__version__,
    help="EV charging of EcoStruxure EV Charging Expert and Bender controllers as Modbus TCP and BACnet/IP.",
    help_epilogue="Exit codes: 0 done, 1 faults found, 2 usage, 3 not reached, 4 refused.",
)
app.command(addresses)
app.command(backup)
app.command(restore)
app.command(checkout)
app.command(discover)
app.command(evidence)
app.command(export)
app.command(passwd)
app.command(plan)
app.command(trust)
app.command(user)
app.command(read)
app.command(write)
app.command(release)
app.command(wipe)


@app.command
def run(
    *,
    config: ConfigFile = DEFAULT,
    accept_moves: AcceptMoves = False,
    log: Literal["debug", "info", "warning", "error"] = "info",
) -> int:
    """Serve the site until stopped (SIGTERM logs out of every source).

    Files that would move published addresses are not used: what was served last runs on instead, with an alarm.
    """
    from gateway.app.daemon import Daemon

    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # it means reload, and the files are about to be read
    telemetry.configure(log)
    faulthandler.enable()  # systemd's watchdog sends SIGABRT: the journal then says where the gateway stood
    site, moved = site_to_run(config, accept_moves_of=getpass.getuser() if accept_moves else "")
    daemon = Daemon(site, on_locked=lambda: show.show_faults(site.warnings, "warning: "), moved=moved)
    return _serve(daemon.run)


def _serve(start: Any) -> int:
    try:
        run_loop(start())
    except OSError as error:
        show.err.print(show.clean(error.strerror or error))
        return FAULTS
    return DONE


@app.command
def demo(*, seconds: float | None = None, dialect: Literal["desc", "nested"] = "desc") -> int:
    """Run the whole gateway against simulated products and show it working.

    Args:
        seconds: end by itself after so long; without it, run until Ctrl-C.
        dialect: the JSON the simulated EVCE speaks.
    """
    from gateway.cli.demo import run_demo

    return asyncio.run(run_demo(seconds, dialect))


@app.command
def simulate(
    product: Literal["evce", "bender"],
    *,
    listen: str = "127.0.0.1:8443",
    dialect: Literal["desc", "nested"] = "desc",
    stations: int = 12,
    zones: int = 3,
    meters: int = 2,
    username: str | None = None,
    password: str = "Charging-2026!",  # noqa: S107  # a simulator's
    second_login: Literal["replace", "refuse"] = "replace",
    seed: int = 1,
    certificate: Path | None = None,
    control: str | None = None,
) -> int:
    """Serve a simulated product, strict as the real one.

    Operations of `--control` with their parameters, those in brackets may be left out; `kind` is station, zone or
    meter. Both products: down seconds, drop_connections, listen on, replace_certificate [expired].

    EVCE: revoke, expire, reboot [down_s], block, unblock, set_password password, second_login mode, person_login,
    person_logout, forbid path, allow, clock_offset seconds, freeze name [frozen], rename kind name to,
    duplicate_name kind name other, swap_names kind name other, delete kind name, add kind name [zone], replace name,
    import [keep_reductions], move name zone, zone_type name type, zone_max name amps,
    set_reduction name [amps] [seconds], station_online name online, station_fault name faulted.

    Bender: revoke, reboot [down_s], web_login, set_password password, clock_offset seconds, message type text,
    clear_messages, set_setting key value, plug, unplug.

    Args:
        product: evce or bender.
        listen: ADDRESS:PORT.
        dialect: JSON dialect of the simulated EVCE.
        stations: how many, up to 1000 (EVCE).
        zones: how many, up to 100 (EVCE).
        meters: how many, up to 50 (EVCE).
        username: user it knows; bms (EVCE) or operator (Bender) if not given.
        password: that user's password.
        second_login: what a second login of one user does (EVCE).
        seed: of everything that varies.
        certificate: file to write its self-signed certificate to (EVCE).
        control: ADDRESS:PORT of a loopback HTTP server: GET /state and /received, POST /faults
            {"path": "/stations/*", "status": 503, "count": 3}, DELETE /faults, POST /do
            {"op": "add", "kind": "zone", "name": "Zone Q"}.
    """
    from gateway.cli.simulate import run_product

    options = {
        "dialect": dialect,
        "stations": stations,
        "zones": zones,
        "meters": meters,
        "second_login": second_login,
    }
    return asyncio.run(run_product(product, listen, username, password, seed, certificate, control, options))


@app.command
def check(
    *, config: ConfigFile = DEFAULT, openapi: Path | None = None, against: Path | None = None, json_: Json = False
) -> int:
    """Check the configuration and its mappings, offline; every fault with file:line:col.

    Args:
        openapi: the product's OpenAPI file, to hold its mappings against.
        against: a file of `discover --save`: every path has to find something in what the products answered.
    """
    faults, warnings, points = [], [], 0
    try:
        site = load_site(config)
        warnings = site.warnings
        points = len(offline_points(site))
        faults = move_faults(site, refused_moves(site))
        if openapi is not None:
            found = openapi_findings(site, openapi)
            faults, warnings = faults + found[0], [*warnings, *found[1]]
        if against is not None:
            found = saved_findings(site, against)
            faults, warnings = faults + found[0], [*warnings, *found[1]]
    except ConfigError as error:
        faults = error.faults
    if json_:
        rows = {"faults": faults, "warnings": warnings}
        keys = ("file", "line", "col", "path", "text")
        show.show_json({k: [{key: getattr(f, key) for key in keys} for f in v] for k, v in rows.items()})
    else:
        show.show_faults(warnings, "warning: ")
        show.show_faults(faults)
        if not faults:
            show.out.print(f"{config}: good, {points} points are placed before anything was discovered")
    return FAULTS if faults else DONE


@app.command
def points(match: str = "", *, config: ConfigFile = DEFAULT, json_: Json = False) -> int:
    """List every point with its addresses, and its value while the gateway runs.

    Args:
        match: show only points whose name contains this.
    """
    site = load_site(config)
    try:
        rows = ask(site, "GET", "/points")
    except ControlError as error:
        if error.reached:
            raise
        rows = offline_points(site)
    everything, rows = rows, [row for row in rows if match.lower() in row["point"].lower()]
    if not rows:
        show.err.print(show.clean(f"no point's name contains {match!r}"))
        listed = tuple(f"{s}/{k.name}/" for s, p in site.products.items() for k in p.kinds.values() if not k.is_single)
        if not any(row["point"].startswith(listed) for row in everything):
            show.err.print("nothing was discovered yet: start the gateway once, or say `expect`")
    if json_:
        show.show_json(rows)
    elif len(rows) > 60 or not sys.stdout.isatty():
        show.plain_points(rows)
    else:
        show.out.print(show.point_table(rows))
    return DONE


@app.command
def status(*, config: ConfigFile = DEFAULT, json_: Json = False) -> int:
    """Show how the running gateway is doing."""
    answer = ask(load_site(config), "GET", "/status")
    if json_:
        show.show_json(answer)
        return DONE
    running = str(answer.get("version", "unknown"))
    apart = f"the running gateway is version {running}, this command {__version__}: restart the gateway"
    if running != __version__:
        show.err.print(show.clean(apart))
    try:
        show.show_status(answer)
        show_clients(answer)
    except (AttributeError, KeyError, TypeError, ValueError):  # it was updated under a running gateway
        if running == __version__:
            show.err.print(show.clean(f"the running gateway is an older build of version {running}: restart it"))
        return FAULTS
    return DONE


@app.command
def reload(*, accept_moves: AcceptMoves = False, config: ConfigFile = DEFAULT) -> int:
    """Let the running gateway take over what has changed in its files, passwords too; as SIGHUP does.

    All of it or nothing: exit code 4 with the reasons when it refuses, and what ran before goes on.
    """
    answer = ask_reload(config, accept_moves=accept_moves)
    for text in answer["done"]:
        show.out.print(show.clean(text))
    for text in answer["refused"]:
        show.err.print(show.clean(text))
    return REFUSED if answer["refused"] else DONE


@app.command
def schema(what: Literal["config", "mapping"]) -> int:
    """Print the JSON Schema of a file, for completion and checks in an editor."""
    show.show_json(config_schema() if what == "config" else mapping_schema())
    return DONE


def main(arguments: list[str] | None = None) -> None:
    """Parses the command line, runs one command, and exits with its code."""
    try:
        code = app(arguments, exit_on_error=False, print_error=True, result_action="return_value")
    except CycloptsError:
        code = USAGE
    except ConfigError as error:
        show.show_faults(error.faults)
        code = FAULTS
    except ControlError as error:
        show.err.print(show.clean(error))
        code = REFUSED if error.reached else NOT_REACHED
    except GatewayError as error:
        show.err.print(show.clean(error))
        code = FAULTS
    except KeyboardInterrupt:
        code = DONE
    except BrokenPipeError:  # `points | head`: the reader has what it wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = DONE
    sys.exit(code if isinstance(code, int) else DONE)
