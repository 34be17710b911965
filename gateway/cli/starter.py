"""`discover --write`: a first config.yaml and mapping, made from what a product answered; nothing is overwritten."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gateway.app.discover import SourceAnswers
from gateway.checkout.probe import fit
from gateway.checkout.truth import Truth
from gateway.config.strict_yaml import read_yaml
from gateway.core.errors import ConfigError, Fault, GatewayError
from gateway.mapping import load_mapping
from gateway.mapping.load import mapping_files
from gateway.mapping.openapi import propose
from gateway.mapping.openapi.answered import answered_of
from gateway.mapping.openapi.emit import comment
from gateway.store.files import replace

TEMPLATES = {"evce": "evce.yaml", "bender": "bender.yaml"}
FITS = 0.6
"""A shipped mapping that finds a value for this part of its points is the one to begin with."""
SCHEMAS = "schema"
MODE = 0o644
MOST_NAMED = 12


@dataclass(frozen=True, slots=True)
class Login:
    """How the source is reached; files as they were given."""

    name: str
    url: str
    username: str
    password_file: Path
    ca_file: Path | None
    fingerprint: str | None


@dataclass(frozen=True, slots=True)
class StarterMapping:
    """A mapping file's text, the shipped file it extends, and in words how far it goes."""

    text: str
    extends: Path
    said: str


class Exists(GatewayError):
    """A file that would be overwritten."""


def starter_mapping(found: SourceAnswers, shipped: Path) -> StarterMapping:
    """The shipped mapping that fits what was answered, else one proposed from the shapes of the answers."""
    answers = {one.asked: {"age_s": 0.0, "document": one.document} for one in found.answers if not one.problem}
    best, share, kinds = shipped / TEMPLATES[found.product], 0.0, {}
    for file in sorted(shipped.glob("*.yaml")):
        loaded, _ = load_mapping(file)
        if loaded is None or loaded.product.name != found.product:
            continue
        said = loaded.document.data["resources"]
        fits = fit(found.name, said, _with_queries(said, answers))
        if fits > share:
            best, share, kinds = file, fits, said
    if found.product == "evce" and share < FITS:
        template = shipped / TEMPLATES["evce"]
        proposal = propose(answered_of("the answers", asdict(found)), read_yaml(template).data, template.name)
        text = f"{proposal.found} points recognised in the answers, {len(proposal.unknown)} not"
        return StarterMapping(proposal.text, template, text)
    lacking = _without_value(found.name, kinds, _with_queries(kinds, answers))
    lines = [
        "# yaml-language-server: $schema=schema/mapping.json",
        f"# What {comment(found.name)} answers looks like {best.name}: {share:.0%} of its points find a value there.",
    ]
    lines += [f"# These found none when it was asked: {', '.join(lacking)}."] if lacking else []
    lines += ["# Confirm units and codes on site, and say here what differs.", f"extends: {best.name}", "resources: {}"]
    return StarterMapping("\n".join(lines) + "\n", best, f"looks like {best.name}, {share:.0%} of its points found")


def _with_queries(kinds: Mapping[str, Any], answers: Mapping[str, Any]) -> dict[str, Any]:
    """The answers also under the paths a mapping asks them with: a query asks for less of the same."""
    found = dict(answers)
    for kind in kinds.values():
        for read in (kind.get("reads") or {}).values():
            whole = read["get"].partition("?")[0]
            if whole in answers:
                found.setdefault(read["get"], answers[whole])
    return found


def _without_value(source: str, kinds: Mapping[str, Any], answers: Mapping[str, Any]) -> list[str]:
    """KIND.POINT of those that find nothing anywhere."""
    values: dict[str, bool] = {}
    for name, expected in Truth(source, kinds, answers).values(lambda _name: False).items():
        parts = name.split("/")
        key = f"{parts[1]}.{parts[-1].removesuffix('.applied')}"
        values[key] = values.get(key, False) or expected.value is not None
    lacking = sorted(key for key, found in values.items() if not found)
    return lacking if len(lacking) <= MOST_NAMED else [*lacking[:MOST_NAMED], f"and {len(lacking) - MOST_NAMED} more"]


def config_text(login: Login, found: SourceAnswers, mapping: str, folder: Path) -> str:
    """A config.yaml for a trial on this machine, with what has to be changed for the site in comments."""
    expect = _expected(found)
    tls = f'{{fingerprint: "{login.fingerprint}"}}' if login.fingerprint else None
    tls = f"{{ca_file: {_flow(_relative(login.ca_file, folder))}}}" if login.ca_file is not None else tls
    lines = [
        "# yaml-language-server: $schema=mappings/schema/config.json",
        "# Made by `evce-gateway discover`; config.example.yaml says every key. All listens on this machine only:",
        "# for the site write its addresses instead of 127.0.0.1, and who may read and write.",
        'site: ""',
        "state_dir: state",
        "sources:",
        f"  - name: {_flow(login.name)}",
        f"    kind: {found.product}",
        f"    url: {_flow(login.url)}",
        f"    username: {_flow(login.username)}",
        f"    password: {{file: {_flow(_relative(login.password_file, folder))}}}",
        *([f"    tls: {tls}"] if tls else []),
        f"    mapping: {_flow(mapping)}",
        *(["    expect:  # the order gives the blocks"] if expect else []),
        *(f"      {kind}: {_flow(names)}" for kind, names in expect.items()),
        "modbus:",
        "  listen: 127.0.0.1:5020",
        "  clients: [{name: bms, allow: 127.0.0.0/8, slot: 10, write: true}]",
        "bacnet:",
        "  address: 127.0.0.1/8:47808",
        "  device: {instance: 260001, name: EV Gateway}",
        "  write: [127.0.0.0/8]",
        "web: {listen: 127.0.0.1:8080}",
    ]
    return "\n".join(lines) + "\n"


def _expected(found: SourceAnswers) -> dict[str, list[str]]:
    """Names by kind, those that are unique; of kinds the shipped mappings list."""
    names: dict[str, list[str]] = {}
    for item in found.resources:
        if item.kind in {"zone", "station", "meter"} and item.name:
            names.setdefault(item.kind, []).append(item.name)
    return {kind: [name for name in listed if listed.count(name) == 1] for kind, listed in names.items()}


def write_starter(
    folder: Path, login: Login, found: SourceAnswers, shipped: Path, saved: str
) -> list[tuple[Path, str]]:
    """Writes config.yaml, mappings and answers.json; returns each file with a word about it.

    Raises:
        Exists: one of them is there already, and nothing was written.
        ConfigError: one cannot be written.
    """
    mapping = starter_mapping(found, shipped)
    own = f"{login.name}-site.yaml"
    bases = {f"mappings/{file.name}": file.read_text("utf-8") for file in mapping_files(mapping.extends)}
    schemas = {f"mappings/{SCHEMAS}/{f.name}": f.read_text("utf-8") for f in (shipped / SCHEMAS).glob("*.json")}
    new = {
        "config.yaml": (config_text(login, found, f"mappings/{own}", folder), "listens on this machine only"),
        f"mappings/{own}": (mapping.text, mapping.said),
        "answers.json": (saved, "for `check --against`; without secrets"),
    }
    if there := [name for name in new if (folder / name).exists()]:
        raise Exists(f"{', '.join(there)}: exists already in {folder}, and nothing is overwritten")
    apart = [n for n, text in bases.items() if (folder / n).exists() and (folder / n).read_text("utf-8") != text]
    if apart:
        raise Exists(f"{', '.join(apart)} in {folder} is not the shipped one: name an empty folder")
    texts = {**schemas, **bases, **{name: text for name, (text, _) in new.items()}}
    try:
        for name, text in texts.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            replace(folder / name, text.encode(), MODE)
    except OSError as error:
        raise ConfigError([Fault(str(error.filename), 0, 0, "", f"cannot be written: {error.strerror}")]) from error
    return [(folder / name, said) for name, (_, said) in new.items()]


def saved_text(found: Sequence[SourceAnswers]) -> str:
    """The answers as a file holds them."""
    return json.dumps({"sources": [asdict(item) for item in found]}, indent=1, ensure_ascii=False) + "\n"


def _relative(file: Path, folder: Path) -> str:
    """As config.yaml names it: from its own folder when it lies there."""
    path, root = file.resolve(), folder.resolve()
    return os.fspath(path.relative_to(root) if path.is_relative_to(root) else path)


def _flow(value: Any) -> str:
    """A text or a list of texts, quoted as JSON, which is YAML."""
    return json.dumps(value, ensure_ascii=False)
