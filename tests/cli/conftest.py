"""A small site in a folder of its own, and the command line called as a user calls it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from gateway.cli import main

MAPPINGS = Path(__file__).parents[2] / "mappings"
CONFIG = f"""\
state_dir: state
sources:
  - name: evce
    kind: evce
    url: http://127.0.0.1:1
    username: bms
    password: {{env: EVCE_PASSWORD}}
    mapping: {MAPPINGS}/evce.yaml
    expect: {{zone: [Zone A, "P1/P2 [red] :car:"]}}
modbus: {{listen: "127.0.0.1:5020"}}
bacnet: {{address: "127.0.0.1/8:47808", device: {{instance: 260001}}}}
"""


class Said(NamedTuple):
    """What one call of the command line came to."""

    code: int
    out: str
    err: str


Call = Callable[..., Said]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a good config.yaml, made the working directory."""
    (tmp_path / "config.yaml").write_text(CONFIG, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.setenv("EVCE_PASSWORD", "x")
    return tmp_path


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs one command; returns exit code, stdout and stderr."""

    def one(*arguments: str) -> Said:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        assert isinstance(ended.value.code, int)
        return Said(ended.value.code, *capsys.readouterr())

    return one
