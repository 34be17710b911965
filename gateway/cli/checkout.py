"""`evce-gateway checkout`: every point of the running gateway, read as a BMS does and held against its JSON."""

from __future__ import annotations

import asyncio
import csv
import io
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from gateway.app.load import Site, load_site
from gateway.app.ports import split_listen
from gateway.checkout import (
    Head,
    Line,
    Outcome,
    Reading,
    Reference,
    Result,
    Servers,
    SourceMapping,
    Wanted,
    as_html,
    as_json,
    check_out,
    counts,
    read_sheet,
)
from gateway.cli import show
from gateway.cli.ask import DEFAULT, ConfigFile, Json, ask
from gateway.cli.codes import DONE, FAULTS, NOT_REACHED
from gateway.core.errors import ConfigError, Fault
from gateway.export import documents
from gateway.mapping import load_mapping
from gateway.mapping.openapi.secrets import is_personal
from gateway.store.files import replace
from gateway.web import ask_daemon

FOLDER = "checkout"
"""The folder of the state directory from which the page hands out the newest report."""
MODE = 0o644
MOST_SHOWN = 40
ANSWER_S = 60.0
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # compared, not bound


def checkout(
    *,
    config: ConfigFile = DEFAULT,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    map_: Annotated[Path | None, Parameter(name="--map")] = None,
    reference: Annotated[list[Path] | None, Parameter(negative="")] = None,
    readings: Path | None = None,
    json_: Json = False,
) -> int:
    """Read every point of the running gateway over Modbus and BACnet, compare it with the product's JSON, and report.

    Nothing is written to any product or BMS, and no session is taken: the JSON is what the gateway was answered last.
    The mapping is held against the shipped one that fits the answers best, or against `--reference`. Exit code 1 when
    a point fails.

    Args:
        output: folder of the report (HTML and JSON); left out: `checkout` in the state directory.
        map_: the register list the BMS was given (`export registers`, .csv or .json); left out: that of the files.
        reference: a mapping that is right, one per product at most; left out: the shipped one that fits.
        readings: CSV file of what people read at the product: point, value, and if you like tolerance.
    """
    site = load_site(config)
    status = ask(site, "GET", "/status")
    from gateway.app.export import planned_spec  # it needs the servers, which no other command of this kind does

    spec = planned_spec(site)
    served = read_sheet(documents(spec, "registers", "json")[0].content.decode(), "the gateway's own list")
    lines = served if map_ is None else read_sheet(_text_of(map_), map_.name)
    wanted = Wanted(lines, served, _sources(site), _references(reference), _readings(readings), is_personal)

    async def asked(what: str) -> Any:
        return await ask_daemon(site.daemon_path, "GET", what, None, ANSWER_S)

    try:
        outcome = asyncio.run(check_out(wanted, _servers(site, status), asked))
    except OSError as error:
        why = "is this machine in modbus.clients (reading is enough), and is a connection free?"
        show.err.print(show.clean(f"a server cannot be read: {error}; {why}"))
        return NOT_REACHED
    results = [*_hashes(lines, spec.head.map_hash, status["map_hash"]), *outcome.results]
    made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    name = "as the configuration files make it" if map_ is None else map_.name
    head = Head(
        site.config.site, made, status["version"], status["map_hash"], name, outcome.references, len(wanted.readings)
    )
    folder = output or site.state_dir / FOLDER
    try:
        written = _write(folder, head, results)
    except OSError as error:
        show.err.print(show.clean(f"{folder} cannot be written: {error.strerror}; say -o FOLDER"))
        return FAULTS
    if json_:
        show.show_json({**counts(results), "files": [str(file) for file in written]})
    else:
        _show(results, outcome, written)
    return FAULTS if counts(results)["failed"] else DONE


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError([Fault(str(file), 0, 0, "", f"cannot be read: {why}")]) from error


def _sources(site: Site) -> list[SourceMapping]:
    """What each source's mapping file says, as plain data."""
    found = []
    for source in site.config.sources:
        loaded, faults = load_mapping(site.loaded.path(source.mapping))
        if loaded is None:
            raise ConfigError(faults)
        found.append(SourceMapping(source.name, source.kind, loaded.document.data["resources"]))
    return found


def _references(files: Sequence[Path] | None) -> list[Reference]:
    """The mappings somebody named, and for every other product those that come with the gateway."""
    from gateway.cli.demo import mapping_folder

    found = [_reference(file, named=True) for file in files or ()]
    products = {one.product for one in found}
    shipped = [_reference(file, named=False) for file in sorted(mapping_folder().glob("*.yaml"))]
    return found + [one for one in shipped if one.product not in products]


def _reference(file: Path, *, named: bool) -> Reference:
    loaded, faults = load_mapping(file)
    if loaded is None:
        raise ConfigError(faults)
    name = file.name if named else f"{file.name} as shipped"
    return Reference(name, loaded.product.name, loaded.document.data["resources"], named)


def _readings(file: Path | None) -> dict[str, Reading]:
    """Point, value and tolerance, with or without a line of headings.

    Raises:
        ConfigError: a line that means nothing, with its number.
    """
    found: dict[str, Reading] = {}
    for at, row in enumerate(csv.reader(io.StringIO(_text_of(file))) if file is not None else (), 1):
        cells = [cell.strip() for cell in row]
        if not any(cells) or (at == 1 and cells[0].lower() == "point"):
            continue
        tolerance = _number(cells[2]) if len(cells) > 2 and cells[2] else None
        if len(cells) not in (2, 3) or "/" not in cells[0] or isinstance(tolerance, str):
            text = "must be POINT,VALUE or POINT,VALUE,TOLERANCE"
            raise ConfigError([Fault(str(file), at, 1, "", text)])
        found[cells[0]] = Reading(_number(cells[1]), tolerance)
    return found


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _servers(site: Site, status: dict[str, Any]) -> Servers:
    """Where the running gateway listens, also where the configuration leaves the port to the machine."""
    from gateway.servers.bacnet import parse_address  # it takes a while to load

    modbus, bacnet = site.config.modbus, site.config.bacnet
    tcp = udp = None
    if modbus is not None and status["modbus"]:
        host, _ = split_listen(modbus.listen)
        tcp = (EVERYWHERE.get(host, host), int(status["modbus"]["port"]))
    if bacnet is not None and status["bacnet"]:
        host = str(parse_address(bacnet.address)[0].ip)
        udp = (EVERYWHERE.get(host, host), int(status["bacnet"]["port"]))
    device = bacnet.device.instance if bacnet is not None else None
    return Servers(tcp, udp, device, bacnet.network if bacnet is not None else None)


def _hashes(lines: Sequence[Line], files: str, running: str) -> list[Result]:
    """The list, the files and the running gateway speak of one map."""
    lists = {line.map_hash for line in lines} - {""}
    faults = []
    if files != running:
        faults.append(f"the files say map {files}, the running gateway serves {running}: see `plan`, then `reload`")
    if lists and lists != {running}:
        faults.append(f"the list says map {', '.join(sorted(lists))}, the running gateway serves {running}")
    three = "list, files and running gateway"
    return [Result("map/hash", "fail" if faults else "pass", "; ".join(faults), running, "", files, "", three)]


def _write(folder: Path, head: Head, results: Sequence[Result]) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"checkout-{head.made.replace(':', '')}"
    files = {".html": as_html(head, results), ".json": as_json(head, results)}
    for ending, text in files.items():
        replace(folder / f"{stem}{ending}", text.encode(), MODE)
    return [folder / f"{stem}{ending}" for ending in files]


def _show(results: Sequence[Result], outcome: Outcome, written: Sequence[Path]) -> None:
    failed = [one for one in results if one.verdict == "fail"]
    for one in failed[:MOST_SHOWN]:
        show.out.print(f"[red]FAIL[/] {show.clean(one.point)}: {show.clean(one.text)}")
    if len(failed) > MOST_SHOWN:
        show.out.print(f"and {len(failed) - MOST_SHOWN} more, see the report")
    skipped = Counter(one.text.partition(":")[0] for one in results if one.verdict == "skipped")
    for text, count in skipped.most_common(10):
        show.out.print(show.clean(f"not proven, {count} points: {text}"))
    for source, name in outcome.references.items():
        show.out.print(show.clean(f"{source} was held against {name}"))
    number = counts(results)
    text = f"{number['points']} points: {number['passed']} passed, {number['failed']} failed"
    show.out.print(f"{text}, {number['skipped']} not proven")
    for file in written:
        show.out.print(show.clean(f"wrote {file}"))
