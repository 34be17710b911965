"""Faults of the models in words, and secrets."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from gateway.config import load_config, read_secret
from gateway.config.check import allowed_keys
from gateway.config.fields import Secret
from gateway.config.models import Config
from gateway.core.errors import ConfigError
from gateway.mapping.models import MappingFile

MINIMAL = """\
sources: [{name: evce, kind: evce, url: "http://10.0.0.1", username: u, password: {env: P}, mapping: m.yaml}]
modbus: {}
"""


def load(tmp_path: Path, text: str) -> tuple[Any, list[str]]:
    file = tmp_path / "config.yaml"
    file.write_text(text, encoding="utf-8")
    loaded, faults = load_config(file)
    return loaded, [f"{fault.line}:{fault.col} {fault.path}: {fault.text}" for fault in faults]


def test_defaults_are_the_safe_ones(tmp_path: Path) -> None:
    loaded, faults = load(tmp_path, MINIMAL)
    assert faults == []
    config = loaded.config
    assert (config.modbus.listen, config.modbus.clients) == ("127.0.0.1:502", [])
    assert (config.control.floor, config.control.allow_stop, config.control.dry_run) == (6.0, False, False)
    assert (config.bacnet, config.web) == (None, None)
    assert loaded.path("a/b") == tmp_path / "a/b"


def test_nothing_to_serve_is_a_fault(tmp_path: Path) -> None:
    _, faults = load(tmp_path, MINIMAL.replace("modbus: {}\n", ""))
    assert faults == ["1:1 : neither modbus nor bacnet is configured: nothing would be served"]


@pytest.mark.parametrize(
    "secret", ["hunter2", "{file: [hunter2]}", "{literal: hunter2}", "[hunter2]", "{env: {x: hunter2}}"]
)
def test_a_secret_never_shows_in_a_fault(tmp_path: Path, secret: str) -> None:
    _, faults = load(tmp_path, MINIMAL.replace("{env: P}", secret))
    assert faults
    assert all("password" in fault for fault in faults)
    assert "hunter2" not in "".join(faults)


def test_a_password_inside_a_url_never_shows(tmp_path: Path) -> None:
    _, faults = load(tmp_path, MINIMAL.replace("http://10", "http://u:hunter2@10"))
    assert faults == ["1:41 sources[0].url: must be http(s)://HOST or http(s)://HOST:PORT, nothing before or after it"]


@pytest.mark.parametrize(
    ("key", "value", "good"),
    [
        ("listen", "10.0.0.5:502", True),
        ("listen", "[::1]:502", True),
        ("listen", "0.0.0.0:0", True),
        ("listen", "::1:502", False),
        ("listen", "10.0.0.5", False),
        ("listen", "10.0.0.5:65536", False),
        ("listen", "10.0.0.5: 502", False),
        ("listen", "localhost:502", False),
        ("unit", 247, True),
        ("unit", 248, False),
        ("unit", 0, False),
        ("unit", 1.0, False),
        ("unit", "true", False),
        ("word_order", "little", True),
        ("word_order", "BIG", False),
        ("units", "per_source", True),
        ("units", "per_resource", True),
        ("units", "per_zone", False),
        ("max_connections", 0, False),
    ],
)
def test_modbus_values(tmp_path: Path, key: str, value: object, good: bool) -> None:
    quoted = f'"{value}"' if key == "listen" else value
    _, faults = load(tmp_path, MINIMAL.replace("modbus: {}", f"modbus: {{{key}: {quoted}}}"))
    assert (faults == []) is good
    assert all(
        fault.startswith("2:") and f"modbus.{key}: must be" in fault.replace("the port ", "") for fault in faults
    )


@pytest.mark.parametrize(
    ("address", "good"),
    [
        ("10.0.0.5/24:47808", True),
        ("10.0.0.5", False),
        ("10.0.0.5:47808", False),
        ("10.0.0.5/24", True),
        ("10.0.0.5/24:0", False),
        ("10.0.0.5/24:65536", False),
        ("10.0.0.5/33:47808", False),
        ("10.0.0/24:47808", False),
        ("::1/64:47808", False),
    ],
)
def test_bacnet_addresses(tmp_path: Path, address: str, good: bool) -> None:
    text = MINIMAL + f'bacnet: {{address: "{address}", device: {{instance: 1}}}}\n'
    assert (load(tmp_path, text)[1] == []) is good


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://evce.example", None),
        ("http://10.0.0.1:8080/", "http://10.0.0.1:8080"),
        ("http://[fe80::1]:80", "http://[fe80::1]:80"),
        ("http://10.0.0.1:99999", None),
        ("http://10.0.0.1/api", None),
        ("10.0.0.1", None),
    ],
)
def test_urls(tmp_path: Path, url: str, kept: str | None) -> None:
    loaded, faults = load(tmp_path, MINIMAL.replace("http://10.0.0.1", url))
    assert (loaded.config.sources[0].url if kept else faults != []) == (kept or True)


@pytest.mark.parametrize(
    ("template", "good"),
    [
        ("{source}.{name}.{point}", True),
        ("{kind}-{name}-{point}", True),
        ("{point}", True),
        ("{name}", False),
        ("{point.__class__}", False),
        ("{point!r}", False),
        ("{point:>5}", False),
        ("{}{point}", False),
        ("{point}}", False),
    ],
)
def test_object_names(tmp_path: Path, template: str, good: bool) -> None:
    text = MINIMAL + f'bacnet: {{address: 10.0.0.5/24, device: {{instance: 1}}, object_name: "{template}"}}\n'
    assert (load(tmp_path, text)[1] == []) is good


def test_allowed_keys_reach_through_unions_lists_and_aliases() -> None:
    assert allowed_keys(Config, ("sources", 0, "password")) == {"credential", "file", "env"}
    point = ("resources", "zone", "points", "x")
    assert allowed_keys(MappingFile, (*point, "modbus")) == allowed_keys(MappingFile, (*point, "modbus", 1))
    assert allowed_keys(MappingFile, (*point, "range", 0)) == {"point", "by"}
    assert "from" in allowed_keys(MappingFile, point)
    assert "extends" in allowed_keys(MappingFile, ())


def test_secrets_are_read_from_the_three_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "password").write_text("geheim ß\r\n", encoding="utf-8")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("EVCE_PASSWORD", "from env")
    assert read_secret(Secret(file="password"), tmp_path) == "geheim ß"
    assert read_secret(Secret(credential="password"), Path("/nowhere")) == "geheim ß"
    assert read_secret(Secret(env="EVCE_PASSWORD"), tmp_path) == "from env"


def test_secrets_that_are_not_there_say_where_they_were_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    (tmp_path / "latin").write_bytes(b"hunter2\xff")
    wanted = {
        Secret(env="NO_SUCH"): "environment variable NO_SUCH: is not set",
        Secret(credential="c"): "credential c: is not there: systemd gives credentials (LoadCredential=)",
        Secret(file="none"): f"{tmp_path}{os.sep}none: cannot be read: No such file or directory",
        Secret(file="latin"): f"{tmp_path}{os.sep}latin: is not UTF-8 text",
    }
    for secret, text in wanted.items():
        with pytest.raises(ConfigError) as refused:
            read_secret(secret, tmp_path)
        assert str(refused.value).startswith(text)
        assert "hunter2" not in str(refused.value)
