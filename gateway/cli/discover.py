"""`evce-gateway discover`: what the products answer, or what an OpenAPI file says they do, for writing a mapping."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from gateway.app import discover as ask
from gateway.app.load import Site
from gateway.cli import show
from gateway.cli.begin import begin, untrusted
from gateway.cli.codes import DONE, FAULTS, NOT_REACHED, REFUSED, USAGE
from gateway.cli.starter import Login, saved_text, starter_mapping
from gateway.config import LoadedConfig, load_config
from gateway.config.strict_yaml import read_yaml
from gateway.core.errors import ConfigError, Fault
from gateway.mapping.openapi import ENDPOINTS, Api, Row, propose, read_openapi, rows_of, shape_of
from gateway.mapping.openapi.emit import comment
from gateway.mapping.openapi.endpoints import WRITES
from gateway.mapping.openapi.rows import NAMED, short
from gateway.mapping.paths import compile_path
from gateway.web import ControlError, ask_daemon

TEMPLATE = "evce.yaml"
WIDEST = 52


def discover(
    *,
    config: Annotated[Path, Parameter(name=["--config", "-c"])] = Path("config.yaml"),
    source: Annotated[list[str] | None, Parameter(name="--source", negative="")] = None,
    save: Path | None = None,
    openapi: Path | None = None,
    mapping: Path | None = None,
    while_running: Annotated[bool, Parameter(negative="")] = False,
    json_: Annotated[bool, Parameter(name="--json", negative="")] = False,
    url: str | None = None,
    product: Literal["evce", "bender"] = "evce",
    name: str | None = None,
    username: str | None = None,
    password_file: Path | None = None,
    ca_file: Path | None = None,
    fingerprint: str | None = None,
    write: Path | None = None,
) -> int:
    """Show the JSON of each product as paths for a mapping; nothing is written to any product.

    Logs in to each source, reads every endpoint its user may read, and logs out. With `--openapi` nothing is asked:
    the file the product hands out is shown, with a mapping proposed from it.

    Args:
        config: the site's config.yaml.
        source: only this source; may be given more than once.
        save: file to store the answers in as JSON, without secrets.
        openapi: the product's OpenAPI file: JSON, YAML, or the spec.js of its Swagger page.
        mapping: file to write a proposed mapping to, from the OpenAPI file or from what one source answers; it must
            not exist yet.
        while_running: log in although the gateway is running with the same users.
        json_: print JSON.
        url: a product that no config.yaml names yet, e.g. https://192.168.0.128; with `--write` its files are made.
        product: which product that is.
        name: what its points shall begin with; evce or bender if not given.
        username: a user of the gateway's own (EVCE: role EBMS).
        password_file: file that holds only the password.
        ca_file: PEM file of the product's certificate, or of the authority that signed it.
        fingerprint: of the product's certificate, sha256:...
        write: folder for a first config.yaml, mapping and answers.json; none of them may exist yet.
    """
    if openapi is not None:
        return _from_file(openapi, mapping, json_=json_)
    if url is not None:
        if username is None or password_file is None or write is None:
            show.err.print("with --url say --username, --password-file and --write FOLDER too")
            return USAGE
        if url.startswith("https:") and ca_file is None and fingerprint is None:
            return untrusted(name or product, url)
        login = Login(name or product, url, username, password_file, ca_file, fingerprint)
        return begin(login, product, write)
    if write is not None:
        show.err.print("--write is for a product that no config.yaml names yet: say its --url too")
        return USAGE
    loaded, faults = load_config(config)
    if loaded is None or faults:
        raise ConfigError(faults)
    names = [item.name for item in loaded.config.sources]
    if unknown := [name for name in source or () if name not in names]:
        show.err.print(show.clean(f"there is no source {unknown[0]!r}; there are: {', '.join(names)}"))
        return USAGE
    if not while_running and _is_running(loaded):
        text = "the gateway is running, and each user has one session: it would be thrown out. Stop it first,"
        show.err.print(f"{text} use a configuration with another user, or say --while-running")
        return REFUSED
    wanted = [item for item in loaded.config.sources if not source or item.name in source]
    if mapping is not None and (len(wanted) != 1 or mapping.exists()):
        text = "exists already; name a new file" if mapping.exists() else "is for one source: say --source"
        show.err.print(show.clean(f"{mapping}: {text}"))
        return USAGE
    found = asyncio.run(ask.discover(loaded, wanted))
    code = _shown(found, save, json_=json_)
    if mapping is not None and not found[0].problem:
        from gateway.cli.demo import mapping_folder

        made = starter_mapping(found[0], mapping_folder())
        _store(mapping, made.text)
        show.err.print(show.clean(f"wrote {mapping}: {made.said}; it extends {made.extends.name}, keep it beside it"))
    return code


def _shown(found: Sequence[ask.SourceAnswers], save: Path | None, *, json_: bool) -> int:
    """Prints and stores; the exit code says how many sources were reached."""
    if save is not None:
        _store(save, saved_text(found))
    if json_:
        show.show_json({"sources": [_source_data(item) for item in found]})
    else:
        for item in found:
            _print_lines(_source_lines(item))
    for item in found:
        if item.problem:
            show.err.print(show.clean(f"{item.name}: {item.problem}"))
    bad = sum(bool(item.problem) for item in found)
    return DONE if not bad else NOT_REACHED if bad == len(found) else FAULTS


def _store(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError([Fault(str(file), 0, 0, "", f"cannot be written: {error.strerror}")]) from error


def _is_running(loaded: LoadedConfig) -> bool:
    path = Site(config=loaded.config, loaded=loaded, products={}, warnings=[]).daemon_path
    try:
        asyncio.run(ask_daemon(path, "GET", "/status"))
    except ControlError as error:
        return error.reached
    return True


# -- answers ---------------------------------------------------------------------------------------------------------


def _rows(answer: ask.EndpointAnswer) -> list[Row]:
    """The rows of an answer; those of named values with the value each has."""
    rows = rows_of(shape_of(answer.document))
    return [_sampled(row, answer.document) if row.kind == NAMED else row for row in rows]


def _sampled(row: Row, document: Any) -> Row:
    value = compile_path(row.path)(document)
    shape = shape_of(value)
    return replace(row, kind=" or ".join(sorted(shape.types)), sample="" if value is None else short(value))


def _source_lines(found: ask.SourceAnswers) -> Iterator[str]:
    yield f"==== {found.name}: {found.product}, paths below {found.base}"
    for note in found.notes:
        yield f"note: {note}"
    for answer in found.answers:
        yield ""
        asked = "" if answer.asked == answer.endpoint.path else f"   (asked: {answer.asked})"
        yield f"GET {answer.endpoint.path}{asked}"
        if answer.problem:
            yield f"  {answer.problem}"
        else:
            yield from row_lines(_rows(answer))
    if found.resources:
        yield ""
        yield "resources (kind, id, name)"
        yield from (f"  {item.kind:12} {item.id:8} {item.name}" for item in found.resources)
    yield ""


def row_lines(rows: Sequence[Row]) -> Iterator[str]:
    """Rows in columns."""
    width = min(max((len(row.path) for row in rows), default=0), WIDEST)
    for row in rows:
        yield f"  {row.path:{width}}  {row.kind:16}  {row.sample}{'  ' if row.sample and row.note else ''}{row.note}"


def _source_data(found: ask.SourceAnswers) -> dict[str, Any]:
    endpoints = [
        {
            "get": answer.endpoint.path,
            "asked": answer.asked,
            "status": answer.status,
            "problem": answer.problem,
            "rows": [] if answer.problem else [asdict(row) for row in _rows(answer)],
        }
        for answer in found.answers
    ]
    resources = [asdict(item) for item in found.resources]
    named = {"name": found.name, "product": found.product, "problem": found.problem, "notes": found.notes}
    return {**named, "endpoints": endpoints, "resources": resources}


def _print_lines(lines: Iterator[str], before: str = "") -> None:
    for line in lines:
        shown = line if line.isprintable() else comment(line)
        sys.stdout.write(f"{before}{shown}".rstrip() + "\n")


# -- an OpenAPI file -------------------------------------------------------------------------------------------------


def _from_file(file: Path, mapping: Path | None, *, json_: bool) -> int:
    """Shapes and proposal; without `mapping` the whole output is one YAML file, the shapes in comments."""
    if mapping is not None and mapping.exists():
        show.err.print(show.clean(f"{mapping}: exists already; name a new file"))
        return USAGE
    api = read_openapi(file)
    product = api.product
    if product is None:
        show.err.print(show.clean(f"{api.file}: has no path of EVCE or Bender"))
        return FAULTS
    from gateway.cli.demo import mapping_folder

    proposal = None
    if product == "evce":
        proposal = propose(api, read_yaml(mapping_folder() / TEMPLATE).data, TEMPLATE)
    if json_:
        shapes = {f"{method} {path}": rows for method, path, rows in _shapes(api, product)}
        endpoints = {key: None if rows is None else [asdict(row) for row in rows] for key, rows in shapes.items()}
        show.show_json({"endpoints": endpoints, "proposal": proposal.text if proposal else None})
        return DONE
    _print_lines(_file_lines(api, product), before="# " if mapping is None and proposal else "")
    if proposal is None:
        return DONE
    if mapping is None:
        sys.stdout.write("\n" + proposal.text)
    else:
        _store(mapping, proposal.text)
    unknown = f"; not recognised: {', '.join(proposal.unknown)}" if proposal.unknown else ""
    show.err.print(show.clean(f"{proposal.found} points recognised{unknown}"))
    return DONE


def _shapes(api: Api, product: str) -> Iterator[tuple[str, str, list[Row] | None]]:
    """Method, path and rows of every endpoint of the table and every body worth knowing; None: not in the file."""
    for endpoint in ENDPOINTS[product]:
        shape = api.answer("GET", endpoint.path)
        yield "GET", endpoint.path, rows_of(shape) if shape is not None else None
    for method, path in WRITES[product]:
        shape = api.body(method, path)
        yield method, path, rows_of(shape) if shape is not None else None


def _file_lines(api: Api, product: str) -> Iterator[str]:
    yield f"{api.file}: {api.title} {api.version}, {product}"
    for method, path, rows in _shapes(api, product):
        spelled = api.find(path)
        yield ""
        yield f"{method} {spelled or path}" + (" takes" if method != "GET" else "")
        if rows is not None:
            yield from row_lines(rows)
        else:
            yield "  no schema" if api.has(method, path) else "  not in this file"
