"""`checkout` as a command, where there is nothing to check."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.checkout import _readings
from gateway.core.errors import ConfigError


def test_without_a_running_gateway_it_says_so(site: Path, call: Callable[..., Any]) -> None:
    said = call("checkout", "-o", "report")
    assert said.code == 3
    assert "no gateway answers" in said.err
    assert not (site / "report").exists()


def test_its_help_says_what_is_compared(call: Callable[..., Any]) -> None:
    said = call("checkout", "--help")
    assert said.code == 0
    for word in ("--map", "--reference", "--readings", "--output"):
        assert word in said.out


@pytest.mark.parametrize("line", ["evce/zone/Zone A/power", "a/b,1,x", "power,3", "a/b,1,2,3"])
def test_a_reading_that_means_nothing_is_refused_with_its_line(tmp_path: Path, line: str) -> None:
    file = tmp_path / "readings.csv"
    file.write_text(f"point,value,tolerance\na/b,12.5\na/c,Charging,\n{line}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as raised:
        _readings(file)
    assert raised.value.faults[0].line == 4


def test_readings_are_numbers_or_texts(tmp_path: Path) -> None:
    file = tmp_path / "readings.csv"
    file.write_text("\ufeffpoint,value\na/b,12.5,0.5\n\na/c,Charging\n", encoding="utf-8")
    found = _readings(file)
    assert (found["a/b"].value, found["a/b"].tolerance) == (12.5, 0.5)
    assert (found["a/c"].value, found["a/c"].tolerance) == ("Charging", None)
