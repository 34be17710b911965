"""`evce-gateway export`: the map as files for the people who engineer the BMS."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from gateway.app.load import load_site
from gateway.cli import show
from gateway.cli.ask import DEFAULT, ConfigFile, ask
from gateway.cli.codes import DONE, FAULTS, USAGE
from gateway.core.errors import GatewayError
from gateway.export import FORMATS, Document, What, documents
from gateway.store.files import replace
from gateway.web import ControlError

export = App(
    name="export",
    help="Write the map as files: register list, EDE, PICS, point list. It works before the site exists, from "
    "`expect`. Every export holds the map hash, which both protocols show.",
)
Output = Annotated[
    Path | None, Parameter(name=["--output", "-o"], help="File or folder to write; left out: standard output.")
]
Format = Annotated[str, Parameter(name=["--format", "-f"], show_default=False)]
MODE = 0o644


@export.command
def registers(*, output: Output = None, format_: Format = "", config: ConfigFile = DEFAULT) -> int:
    """Write every register with all notations and its BACnet twin.

    Args:
        format_: csv, xlsx (with filters), md, html (to print) or json; else what the output's name ends with, or csv.
    """
    return _export("registers", output, format_, config)


@export.command
def ede(*, output: Output = None, config: ConfigFile = DEFAULT) -> int:
    """Write the BACnet objects as Engineering Data Exchange 2.3: four CSV files in the folder `--output`."""
    if output is None:
        show.err.print("ede is four files: say -o FOLDER")
        return USAGE
    if output.is_file():
        show.err.print(show.clean(f"{output} is a file: ede is four files, say -o FOLDER"))
        return USAGE
    return _export("ede", output, "csv", config)


@export.command
def pics(*, output: Output = None, format_: Format = "", config: ConfigFile = DEFAULT) -> int:
    """Write the Protocol Implementation Conformance Statement of the BACnet server.

    Args:
        format_: md or html (to print); else what the output's name ends with, or md.
    """
    return _export("pics", output, format_, config)


@export.command
def points(*, output: Output = None, config: ConfigFile = DEFAULT) -> int:
    """Write the point list as JSON: the rows of `points --json` with descriptions, state texts and object names."""
    return _export("points", output, "json", config)


def _export(what: What, output: Path | None, wanted: str, config: Path) -> int:
    from gateway.app.export import planned_spec  # it needs the servers, which no other command of this kind does

    form = wanted or _form_of(what, output)
    if form not in FORMATS[what]:
        show.err.print(show.clean(f"{what} has no format {form!r}; it has {', '.join(FORMATS[what])}"))
        return USAGE
    if form == "xlsx" and output is None:
        show.err.print("xlsx is not for a terminal: say -o FILE")
        return USAGE
    site = load_site(config)
    spec = planned_spec(site)
    try:
        found = documents(spec, what, form)
    except ValueError as error:
        show.err.print(show.clean(error))
        return FAULTS
    if output is None:
        sys.stdout.write(found[0].content.decode())
    else:
        try:
            _write(found, output, folder=what == "ede" or output.is_dir())
        except OSError as error:
            show.err.print(show.clean(f"{error.filename or output} cannot be written: {error.strerror}"))
            return FAULTS
    try:
        running = ask(site, "GET", "/status")["map_hash"]
    except (ControlError, GatewayError):
        return DONE
    if running != spec.head.map_hash:
        text = f"these files say map {spec.head.map_hash}, the running gateway serves {running}: see `plan`"
        show.err.print(show.clean(text))
    return DONE


def _form_of(what: What, output: Path | None) -> str:
    """What the name of the output asks for, else the usual one."""
    ending = output.suffix.lower().lstrip(".") if output is not None and not output.is_dir() else ""
    return ending or FORMATS[what][0]


def _write(found: Sequence[Document], output: Path, *, folder: bool) -> None:
    if folder:
        output.mkdir(parents=True, exist_ok=True)
    for document in found:
        path = output / document.name if folder else output
        replace(path, document.content, MODE)
        show.out.print(show.clean(f"wrote {path}"))
