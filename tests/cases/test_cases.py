"""Golden folders: what `check` prints for a site, and for a good one where its points are.

A folder holds `config.yaml`, its mappings and `expected.txt`. A bug report becomes a folder; its `expected.txt` is
what should have been printed: every fault and warning, or the rows of `points` without the built-in ones.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.cli import main

CASES = sorted(path.parent for path in Path(__file__).parent.glob("*/config.yaml"))
BUILT_IN = ("gateway/", "evce/source/")


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    out, err = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, out, err


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_H05_case(case: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(case)
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(case / "no-daemon"))
    code, out, err = run(capsys, "check")
    expected = (case / "expected.txt").read_text(encoding="utf-8")
    if code == 1:
        assert out == ""
        assert err == expected
        return
    assert code == 0
    assert out.startswith("config.yaml: good, ")
    _, points, _ = run(capsys, "points")
    rows = [row for row in points.splitlines(keepends=True) if not row.startswith(BUILT_IN)]
    assert err + "".join(rows) == expected
    assert not (case / "state").exists(), "a check writes nothing"


def test_every_folder_is_a_whole_case() -> None:
    assert len(CASES) >= 50
    assert [case.name for case in CASES if not (case / "expected.txt").is_file()] == []
    folders = {path for path in Path(__file__).parent.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == set(CASES)
