"""`discover --url`: a product that no config.yaml names yet is asked, and the first files of its site are written."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from gateway.app.discover import SourceAnswers, discover
from gateway.app.trust import look_at
from gateway.cli import show
from gateway.cli.codes import DONE, NOT_REACHED, USAGE
from gateway.cli.starter import Exists, Login, config_text, saved_text, write_starter
from gateway.config import SourceOutline, load_config
from gateway.core.errors import ConfigError, Unreachable


def untrusted(name: str, url: str) -> int:
    """Says what has to be said about the certificate before anybody logs in; exit code 2, or 3 without an answer."""
    try:
        shown = asyncio.run(look_at(SourceOutline(name=name, url=url), Path(), time.time))
    except (Unreachable, ValueError) as error:
        show.err.print(show.clean(f"{url}: {error}"))
        return NOT_REACHED
    text = "the product is not trusted yet: say --ca-file FILE with its certificate, or, once you compared it,"
    show.err.print(show.clean(f"{text} --fingerprint {shown.certificate.fingerprint}"))
    return USAGE


def begin(login: Login, product: str, folder: Path) -> int:
    """Asks a product that no configuration names yet, and writes the first files of a site."""
    from gateway.cli.demo import mapping_folder

    new = ("config.yaml", f"mappings/{login.name}-site.yaml", "answers.json")
    if there := [name for name in new if (folder / name).exists()]:  # before anybody logs in
        show.err.print(show.clean(f"{', '.join(there)}: exists already in {folder}, and nothing is overwritten"))
        return USAGE
    with tempfile.TemporaryDirectory(prefix="evce-gateway-") as place:
        file = Path(place) / "config.yaml"
        nothing = SourceAnswers(login.name, product, "")
        text = config_text(login, nothing, "none.yaml", Path(place)).replace("state_dir: state", f"state_dir: {place}")
        file.write_text(text, encoding="utf-8")
        loaded, faults = load_config(file)
        if loaded is None or faults:
            raise ConfigError([replace(fault, file="--url", line=0, col=0) for fault in faults])
        (found,) = asyncio.run(discover(loaded, loaded.config.sources))
    if found.problem:
        show.err.print(show.clean(f"{login.url}: {found.problem}"))
        return NOT_REACHED
    try:
        written = write_starter(folder, login, found, mapping_folder(), saved_text([found]))
    except Exists as error:
        show.err.print(show.clean(error))
        return USAGE
    counted = Counter(item.kind for item in found.resources)
    for kind, count in counted.items():
        show.out.print(show.clean(f"found {count} {kind}{'s' * (count != 1)}"))
    for path, said in written:
        show.out.print(show.clean(f"wrote {path}: {said}"))
    return DONE
