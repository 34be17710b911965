"""OpenAPI files in every dress products give them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.core.errors import ConfigError
from gateway.mapping.openapi import Api, read_openapi

SPEC = {
    "openapi": "3.0.0",
    "info": {"title": "A", "version": "1"},
    "paths": {
        "/em/zones": {
            "get": {"responses": {"200": {"content": {"application/json": {"schema": {"type": "array", "items": {}}}}}}}
        }
    },
}


def read(folder: Path, name: str, text: str) -> Api:
    (folder / name).write_text(text, encoding="utf-8")
    return read_openapi(folder / name)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", json.dumps(SPEC)),
        ("a.json", "\ufeff" + json.dumps(SPEC, indent=2)),
        ("a.js", f"window.spec = {json.dumps(SPEC)};\n"),
        (
            "a.js",
            f'let options = {{"swaggerDoc": {json.dumps(SPEC, indent=1)}, "customOptions": {{}}}};\nrun();',
        ),
        ("a.js", f"var a = {{b: 1}};\nSwaggerUIBundle({{ spec: {json.dumps(SPEC)}, dom_id: '#swagger' }})"),
        ("a.yaml", "openapi: 3.0.0\ninfo: {title: A}\npaths:\n  /em/zones:\n    get: {responses: {200: {}}}\n"),
        ("a.yaml", "openapi: 3.0.0\npaths: {/em/zones: {get: {}}}\nx-made: 2024-05-06\nx-twice: 1\nx-twice: 2\n"),
    ],
)
def test_a_file_is_read_in_any_dress(tmp_path: Path, name: str, text: str) -> None:
    api = read(tmp_path, name, text)
    assert api.product == "evce"
    assert api.has("GET", "/em/zones/")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no OpenAPI document"),
        ('{"openapi": "3.0.0"}', "holds no OpenAPI document"),
        ("<html><body>Not found</body></html>", "OpenAPI"),
        ("a: [1, 2", "is not YAML"),
        ("[" * 500 + "]" * 500, "nested"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "nested"),
        ("a: !!python/object/apply:os.system [ls]", "holds no OpenAPI"),
    ],
)
def test_what_is_no_openapi_file_is_said_in_words(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read(tmp_path, "a.yaml", text)


def test_a_missing_file_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.json: cannot be read: No such file"):
        read_openapi(tmp_path / "none.json")


def test_paths_are_found_with_and_without_base_and_whatever_ids_are_called(api: Api) -> None:
    assert api.base == "/api/v2"
    assert api.find("/em/zones/{id}/status") == "/em/zones/{zone_id}/status"
    assert api.find("/api/v2/em/zones/{zone}/status") is None
    assert api.find("/stations/statuses") == "/stations/statuses"
    assert api.find("/stations/{id}") == "/stations/{station_id}"
    assert api.find("/settings?params=A,B") is None
    assert api.like("GET", "/em/zone/{id}/state")[0] == "/em/zones/{zone_id}/status"


def test_paths_may_be_written_with_the_base_in_the_file(tmp_path: Path) -> None:
    spec = {**SPEC, "paths": {"/api/v2/em/zones": SPEC["paths"]["/em/zones"]}}  # type: ignore[index]
    api = read(tmp_path, "a.json", json.dumps(spec))
    assert api.find("/em/zones", "/api/v2") == "/api/v2/em/zones"
    assert api.has("GET", "/em/zones", "/api/v2")
