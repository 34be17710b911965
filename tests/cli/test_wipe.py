"""`evce-gateway wipe` on the command line."""

from __future__ import annotations


def test_without_a_yes_nothing_is_removed(site, call):
    state = site / "state"
    (state / "tokens").mkdir(parents=True)
    (state / "tokens" / "evce").write_text("a.b.c")
    said = call("wipe")
    assert said.code == 4
    assert "say --yes" in said.err
    assert (state / "tokens" / "evce").exists()


def test_it_says_what_it_removed(site, call):
    state = site / "state"
    (state / "tokens").mkdir(parents=True)
    (state / "tokens" / "evce").write_text("a.b.c")
    said = call("wipe", "--yes")
    assert (said.code, said.out) == (0, "removed: 1 open session\n")
    assert not (state / "tokens").exists()
    assert call("wipe", "--yes").out.startswith("there was nothing to remove in ")


def test_all_names_every_file(site, call):
    state = site / "state"
    state.mkdir()
    (state / "addresses.yaml").write_text("x")
    said = call("wipe", "--all", "--yes")
    assert said.code == 0
    assert "addresses.yaml" in said.out
    assert not (state / "addresses.yaml").exists()
