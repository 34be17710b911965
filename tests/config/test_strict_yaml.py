"""The strict loader: YAML 1.2 scalars, no duplicates, marks, and nothing that can bring the process down."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.strict_yaml import Document, dotted, parse_yaml, read_yaml


def parsed(text: str) -> Document:
    return parse_yaml(text, Document(file="x.yaml"))


def faults(text: str) -> list[str]:
    return [str(fault) for fault in parsed(text).faults]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("False", False),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("Off", "Off"),
        ("y", "y"),
        ("12:30", "12:30"),
        ("1:02:03", "1:02:03"),
        ("2026-01-01", "2026-01-01"),
        ("010", "010"),
        ("0o10", "0o10"),
        ("00", "00"),
        ("007.5", "007.5"),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("0x1F", 31),
        ("0", 0),
        ("-0", 0),
        ("+5", 5),
        ("-17", -17),
        ("1.5", 1.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("-2.5E-1", -0.25),
        ("null", None),
        ("~", None),
        ("", None),
        ("Null", None),
        ("none", "none"),
        ('"5"', "5"),
        ("'true'", "true"),
        ("!!str 5", "5"),
        ("<<", "<<"),
        ("=", "="),
    ],
)
def test_scalars(text: str, value: object) -> None:
    document = parsed(f"a: {text}")
    assert document.faults == []
    assert document.data == {"a": value}
    assert type(document.data["a"]) is type(value)


def test_keys_are_texts_whatever_they_look_like() -> None:
    assert parsed("1: a\ntrue: b\nnull: c\nno: d").data == {"1": "a", "true": "b", "null": "c", "no": "d"}


def test_H05_every_duplicate_key_is_named() -> None:
    assert faults("a: 1\nb: {c: 1, c: 2}\na: 3\n'b': 4") == [
        "x.yaml:2:11: b.c: duplicate key",
        "x.yaml:3:1: a: duplicate key",
        "x.yaml:4:1: b: duplicate key",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: !!int x", "x.yaml:1:4: a: the tag tag:yaml.org,2002:int is not allowed here"),
        ("a: !!bool 3", "x.yaml:1:4: a: the tag tag:yaml.org,2002:bool is not allowed here"),
        ("a: !secret b", "x.yaml:1:4: a: the tag !secret is not allowed here"),
        ("a: !!python/object:os.system b", "x.yaml:1:4: a: the tag tag:yaml.org,2002:python/object:os.system is"),
        ("a: 1e999", "x.yaml:1:4: a: is too large for a number: 1e999"),
        ("a: " + "9" * 5000, "x.yaml:1:4: a: is no number a gateway can use (5000 characters)"),
        ("a: &x [*x]", "x.yaml:1:4: a[0]: refers to itself or is nested too deep"),
        ("? [a]\n: 1", "x.yaml:1:3: a key must be plain text; quote it"),
        ('ok: 1\nb: "\x07"', "x.yaml:2:5: is not YAML: the character #x07 is not allowed"),
        ("a: 1\n---\nb: 2", "x.yaml:2:1: is not YAML: expected a single document in the stream"),
        ("a: [1\nb: 2", "x.yaml:2:2: is not YAML: while parsing a flow sequence did not find expected"),
        ("\ta: 1", "x.yaml:1:1: is not YAML: while scanning for the next token"),
        ("a: 'b", "x.yaml:1:6: is not YAML: while scanning a quoted scalar found unexpected end of stream"),
    ],
)
def test_what_is_refused(text: str, fault: str) -> None:
    found = faults(text)
    assert len(found) == 1
    assert found[0].startswith(fault)


@pytest.mark.parametrize(
    ("text", "line", "hint"),
    [
        ("a:\n  b: 1\n c: 2\n", 3, "the indentation of this line does not fit the lines above"),
        ("a: 1\n  b: 2\n", 2, "the indentation of this line does not fit the lines above"),
        ("a:\n  - 1\n - 2\n", 3, "the indentation of this line does not fit the lines above"),
        ("  a: 1\nb: 2\n", 2, "the indentation of this line does not fit the lines above"),
        ("a:\n\tb: 1\n", 2, "use spaces, not tabs"),
        ("a:\n  b: 1\n\tc: 2\n", 3, "use spaces, not tabs"),
        ("site: EV: north\n", 1, "quote a text that holds `: `"),
    ],
)
def test_a_line_that_stands_wrong_gets_the_hint(text: str, line: int, hint: str) -> None:
    (fault,) = parsed(text).faults
    assert fault.line == line
    assert fault.text.endswith(f" ({hint})")


def test_unquoted_braces_get_the_hint() -> None:
    (fault,) = faults("list: {get: /em/zones/{id}/status, id: id}")
    assert fault.startswith("x.yaml:1:23: is not YAML: ")
    assert 'quote it: in YAML `{id}` and `[0]` begin a mapping or a list unless they stand in "..."' in fault


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_deep_nesting_is_a_fault_and_not_a_crash(opening: str) -> None:
    (fault,) = parsed(opening * 100_000).faults
    assert fault.text == "nested deeper than 60 levels"
    assert fault.line == 1


def test_alias_bomb_is_a_fault_and_not_a_memory_hog() -> None:
    levels = "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9))
    found = parsed("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + levels).faults
    assert [fault.text for fault in found] == ["aliases make this file too large"]


def test_aliases_work_and_point_to_the_anchor() -> None:
    document = parsed("a: &x {b: 1}\nc: *x")
    assert document.data == {"a": {"b": 1}, "c": {"b": 1}}
    assert document.fault(("c", "b"), "t").line == 1


def test_marks_of_lists_and_keys() -> None:
    document = parsed("a:\n  - {b: 1}\n  - b: 2\n    c:\n      - x\n")
    assert str(document.fault(("a", 1, "c", 0), "t")) == "x.yaml:5:9: a[1].c[0]: t"
    assert str(document.fault(("a", 1, "c"), "t", at_key=True)) == "x.yaml:4:5: a[1].c: t"
    assert str(document.fault(("a", 0, "z", "y"), "t")) == "x.yaml:2:5: a[0].z.y: t"
    assert dotted(()) == ""


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"site: caf\xe9")
    (tmp_path / "big.yaml").write_text("#" * 4_200_000)
    assert [f.text for f in read_yaml(tmp_path / "latin.yaml").faults] == ["is not UTF-8 text (byte 9)"]
    assert [f.text for f in read_yaml(tmp_path / "big.yaml").faults] == ["larger than 4 MB"]
    assert [f.text for f in read_yaml(tmp_path / "none.yaml").faults] == ["cannot be read: No such file or directory"]
    assert [f.text for f in read_yaml(tmp_path).faults] == ["cannot be read: Is a directory"]


def test_faults_name_files_below_the_working_directory_relatively(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.yaml").write_text("a: 1\na: 2")
    assert read_yaml(tmp_path / "a.yaml").faults[0].file == str(tmp_path / "a.yaml")
    monkeypatch.chdir(tmp_path)
    assert read_yaml(tmp_path / "a.yaml").faults[0].file == "a.yaml"


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=60))
def test_no_text_makes_it_raise(text: str) -> None:
    document = parsed(text)
    assert document.faults or document.data is None or isinstance(document.data, (dict, list, str, int, float, bool))
