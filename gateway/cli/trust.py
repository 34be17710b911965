"""`evce-gateway trust SOURCE`: the certificate a product presents, and the line that makes the gateway trust it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from gateway.app.trust import Shown, look_at
from gateway.cli import show
from gateway.cli.ask import DEFAULT, ConfigFile, Json
from gateway.cli.codes import DONE, NOT_REACHED, USAGE
from gateway.config import SourceOutline, outline_of
from gateway.core.errors import ConfigError, Fault, Unreachable
from gateway.sources import date

COMPARE = """\
Whoever stands in between could show a certificate of his own, so compare the fingerprint before you trust it:
download the certificate {page}, and run
    openssl x509 -in FILE -noout -fingerprint -sha256"""
PAGES = {"evce": "from the product's own page (Admin > Configuration > Certificate, webserver certificate)"}


def trust(
    source: str,
    *,
    save: Annotated[Path | None, Parameter(name="--save")] = None,
    config: ConfigFile = DEFAULT,
    json_: Json = False,
) -> int:
    """Show the certificate a source presents, and the `tls:` line for config.yaml. Nobody logs in.

    Works while the source's `tls` is missing or wrong, and beside a running gateway.

    Args:
        source: name of a source in config.yaml.
        save: file to write the certificate to, for `tls: {ca_file: ...}`; it must not exist yet.
    """
    outline = outline_of(config, source)
    if outline is None:
        show.err.print(show.clean(f"there is no source {source!r} in {config}"))
        return USAGE
    if outline.url.startswith("http:"):
        return _without(outline, json_=json_)
    if save is not None and save.exists():
        show.err.print(show.clean(f"{save} exists already, and a certificate is never written over another"))
        return USAGE
    folder = config.resolve().parent
    try:
        shown = asyncio.run(look_at(outline, folder, time.time))
    except Unreachable as error:
        show.err.print(show.clean(f"{source}: {outline.url}: {error}"))
        return NOT_REACHED
    except ValueError as error:
        show.err.print(show.clean(f"{source}: {outline.url}: what it presents is no certificate: {error}"))
        return NOT_REACHED
    if save is not None:
        _store(save, shown.certificate.pem)
    lines = {"fingerprint": f'tls: {{fingerprint: "{shown.certificate.fingerprint}"}}'}
    if save is not None:
        lines["ca_file"] = f"tls: {{ca_file: {_relative(save, folder)}}}"
    if json_:
        show.show_json(_data(outline, shown, lines))
    else:
        _print(outline, shown, lines)
    return DONE


def _without(outline: SourceOutline, *, json_: bool) -> int:
    text = f"{outline.name}: {outline.url} is plain http: there is no certificate, and nothing on the way is secret"
    if json_:
        show.show_json({"source": outline.name, "url": outline.url, "fingerprint": None, "reason": text})
    else:
        show.out.print(show.clean(text))
    return DONE


def _store(file: Path, pem: str) -> None:
    try:
        with file.open("x", encoding="ascii") as new:
            new.write(pem)
    except OSError as error:
        raise ConfigError([Fault(str(file), 0, 0, "", f"cannot be written: {error.strerror}")]) from error


def _relative(file: Path, folder: Path) -> str:
    """As config.yaml names it: from its own folder when it lies there."""
    path = file.resolve()
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


def _data(outline: SourceOutline, shown: Shown, lines: dict[str, str]) -> dict[str, Any]:
    found = shown.certificate
    return {
        "source": outline.name,
        "url": outline.url,
        "subject": found.subject,
        "issuer": found.issuer,
        "names": list(found.names),
        "valid_from": date(found.not_before),
        "valid_to": date(found.not_after),
        "fingerprint": found.fingerprint,
        "trusted": None if shown.objection is None else not shown.objection,
        "reason": shown.objection or shown.out_of_date,
        "tls": lines,
    }


def _print(outline: SourceOutline, shown: Shown, lines: dict[str, str]) -> None:
    found = shown.certificate
    issuer = "itself" if found.issuer == found.subject else found.issuer
    rows = {
        "subject": found.subject or "(none)",
        "issuer": issuer or "(none)",
        "names": ", ".join(found.names) or "(none)",
        "valid": f"{date(found.not_before)} to {date(found.not_after)}",
        "fingerprint": found.fingerprint,
    }
    show.out.print(show.clean(f"{outline.name}: {outline.url}"))
    for label, text in rows.items():
        show.out.print(f"  {label:12} {show.clean(text)}")
    show.out.print(show.clean(_verdict(outline, shown)))
    if shown.out_of_date and shown.out_of_date != shown.objection:
        show.out.print(show.clean(f"The gateway will not use it: {shown.out_of_date}"))
    show.out.print("For config.yaml, at this source:")
    for number, line in enumerate(lines.values()):
        show.out.print(f"{'or  ' if number else '    '}{show.clean(line)}")
    page = PAGES.get(outline.kind, "from the product's own page")
    show.out.print(COMPARE.format(page=page))


def _verdict(outline: SourceOutline, shown: Shown) -> str:
    if shown.objection is None:
        return "config.yaml does not say yet what to trust here: `tls` is missing or cannot be used."
    pin = outline.tls.fingerprint if outline.tls is not None else None
    if pin is not None and pin.lower() != shown.certificate.fingerprint.lower():
        return f"config.yaml trusts another certificate: {pin.lower()}"
    if shown.objection:
        return f"Not trusted by config.yaml: {shown.objection}"
    if outline.tls is not None and outline.tls.insecure:
        return "config.yaml accepts any certificate here (insecure: true)."
    return "Trusted by config.yaml."
