"""The body of POST /login/passwd: recognised by the members' names, else left to a person."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.config.strict_yaml import read_yaml
from gateway.mapping.openapi import read_openapi
from gateway.mapping.openapi.passwd import passwd_lines
from tests.mapping.openapi.conftest import FILES, MAPPINGS

TEMPLATE = read_yaml(MAPPINGS / "evce.yaml").data
TEXT = {"type": "string"}


def proposed(tmp_path: Path, members: dict[str, Any] | None, required: list[str] | None = None) -> list[str]:
    document = json.loads((FILES / "evce-desc.json").read_text())
    post = document["paths"]["/login/passwd"]["post"]
    if members is None:
        del post["requestBody"]
    else:
        schema = {"type": "object", "properties": members, "required": required or []}
        post["requestBody"]["content"]["application/json"]["schema"] = schema
    (tmp_path / "api.json").write_text(json.dumps(document))
    return passwd_lines(read_openapi(tmp_path / "api.json"), TEMPLATE, "/api/v2")


@pytest.mark.parametrize(
    ("members", "text"),
    [
        (
            {"currentPassword": TEXT, "newPassword": TEXT},
            'passwd: {body: {old_password: null, new_password: null, currentPassword: "{old}", newPassword: "{new}"}}',
        ),
        (
            {"old_password": TEXT, "new_password": TEXT, "new_password_repeat": TEXT},
            'passwd: {body: {old_password: "{old}", new_password: "{new}", new_password_repeat: "{new}"}}',
        ),
        (
            {"passwd": {"type": "object", "properties": {"actual": TEXT, "next": TEXT}}},
            'passwd: {body: {old_password: null, new_password: null, passwd: {actual: "{old}", next: "{new}"}}}',
        ),
    ],
)
def test_a_body_is_recognised_by_its_names(tmp_path, members, text):
    assert proposed(tmp_path, members) == [text]


def test_the_same_body_needs_no_line(tmp_path):
    assert proposed(tmp_path, {"old_password": TEXT, "new_password": TEXT}) == []


def test_what_is_not_recognised_is_left_out_and_named(tmp_path):
    (line,) = proposed(tmp_path, {"a": TEXT, "b": TEXT})
    assert line == "passwd: null  # not recognised in POST /login/passwd; it has: a, b"
    (line,) = proposed(tmp_path, {"old": TEXT, "new": TEXT, "pin": TEXT}, ["pin"])
    assert line.startswith("passwd: null")
    (line,) = proposed(tmp_path, None)
    assert line.startswith("# passwd: no schema")
