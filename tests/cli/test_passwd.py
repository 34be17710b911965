"""`passwd`: the product takes the new password, and the file has the right one whatever happens in between."""

from __future__ import annotations

import asyncio
import io
import stat
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import passwd as passwd_module
from gateway.simulator import EvceSimulator
from tests.site import PASSWORD, AheadClock, running_site, until

NEW = "Parking-2027?"
MAPPINGS = Path(__file__).parents[2] / "mappings"
MAPPING = {"desc": "evce.yaml", "nested": "evce-nested.yaml"}
BODY = {
    "desc": {"old_password": PASSWORD, "new_password": NEW},
    "nested": {"passwd": {"current": PASSWORD, "replacement": NEW}},
}
CONFIG = """\
state_dir: state
sources:
  - {{name: evce, kind: evce, url: "{url}", username: bms, password: {secret}, mapping: {mapping}}}
  - name: garage
    kind: bender
    url: http://127.0.0.1:1
    username: operator
    password: {{file: secret}}
    mapping: {bender}
modbus: {{listen: "127.0.0.1:5020"}}
"""


@pytest.fixture(params=["desc", "nested"])
async def product(request, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    async with EvceSimulator(tls=False, dialect=request.param, stations=1, zones=1, meters=0) as sim:
        configure(tmp_path, sim)
        (tmp_path / "secret").write_text(PASSWORD + "\n")
        (tmp_path / "secret").chmod(0o640)
        (tmp_path / "new").write_text(NEW + "\n")
        yield sim


@pytest.fixture
def ask(call):
    async def one(*arguments: str) -> Any:
        return await asyncio.to_thread(call, *arguments)

    return one


def configure(folder: Path, sim: EvceSimulator, secret: str = "{file: secret}") -> None:
    mapping = MAPPINGS / MAPPING[sim.dialect]
    text = CONFIG.format(url=sim.url, secret=secret, mapping=mapping, bender=MAPPINGS / "bender.yaml")
    (folder / "config.yaml").write_text(text)


def sent(sim: EvceSimulator) -> list[tuple[str, int]]:
    return [(item.path.rpartition("/")[2], item.status) for item in sim.received]


def kept(folder: Path) -> tuple[str, bool]:
    """The password in the file, and whether an unfinished one is there."""
    return (folder / "secret").read_text().strip(), (folder / "secret.new").exists()


async def test_product_and_file_have_the_new_password_and_the_login_is_over(product, ask, tmp_path):
    said = await ask("passwd", "evce", "--new-file", "new")
    assert (said.code, said.err) == (0, "")
    assert said.out == f"evce: changed; the new password is in {tmp_path / 'secret'}\n"
    assert product.accounts.password == NEW
    assert sent(product) == [("login", 200), ("passwd", 200)]
    assert product.received[1].body == BODY[product.dialect]
    assert product.accounts.session is None
    assert kept(tmp_path) == (NEW, False)
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o640


@pytest.mark.parametrize(
    ("password", "missing"),
    [
        ("Short-1!", ["at least 12 characters (it has 8)"]),
        ("alllowercase-1!", ["a capital letter"]),
        ("ALLCAPITALS-1!", ["a small letter"]),
        ("No-Digits-Here!", ["a digit"]),
        ("No-Special-2027", ["one of @ $ ! % ? &"]),
        ("Tab\there-2027!", ["control characters"]),
        ("", ["12 characters", "a small letter", "a capital letter", "a digit", "one of @ $ ! % ? &"]),
    ],
)
@pytest.mark.parametrize("product", ["desc"], indirect=True)
async def test_the_rule_is_checked_before_anything_is_sent(product, ask, tmp_path, password, missing):
    (tmp_path / "new").write_text(password)
    said = await ask("passwd", "evce", "--new-file", "new")
    assert said.code == 1
    assert all(part in said.err for part in missing)
    assert said.err.count(",") == len(missing) - 1
    assert password not in said.err or not password
    assert product.received == []
    assert kept(tmp_path) == (PASSWORD, False)


async def test_a_wrong_old_password_changes_nothing(product, ask, tmp_path):
    (tmp_path / "secret").write_text("Another-2026!")
    said = await ask("passwd", "evce", "--new-file", "new")
    assert said.code == 4
    assert said.err == "evce: the password was not changed: user or password of 'bms' refused\n"
    assert sent(product) == [("login", 401)]
    assert kept(tmp_path) == ("Another-2026!", False)


async def test_a_refusal_of_the_product_is_told_and_the_login_ends(product, ask, tmp_path):
    product.faults.add("/login/passwd", status=400, body='{"code": 1, "message": "used before"}')
    said = await ask("passwd", "evce", "--new-file", "new")
    assert said.code == 4
    assert "400 'used before'" in said.err or "400 used before" in said.err
    assert product.accounts.session is None
    assert kept(tmp_path) == (PASSWORD, False)


async def test_a_product_that_is_away_is_3_and_nothing_is_left_behind(product, ask, tmp_path):
    await product.do("listen", on=False)
    said = await ask("passwd", "evce", "--new-file", "new")
    assert said.code == 3
    assert "cannot connect" in said.err
    assert kept(tmp_path) == (PASSWORD, False)


async def test_an_answer_that_is_lost_is_settled_by_logins(product, ask, tmp_path):
    product.faults.add("/login/passwd", cut="reset", after_bytes=0, count=1)
    said = await ask("passwd", "evce", "--new-file", "new")
    assert said.code == 0
    assert sent(product)[2:] == [("logout", 401), ("login", 200), ("logout", 200)]
    assert kept(tmp_path) == (NEW, False)


async def test_a_change_that_was_lost_on_its_way_is_settled_by_logins_too(product, ask, tmp_path):
    product.faults.add("/login/passwd", status=500, cut="reset", after_bytes=0, count=1)
    said = await ask("passwd", "evce", "--new-file", "new")
    assert said.code == 4
    assert "was not changed" in said.err
    assert [row for row in sent(product) if row[0] == "login"] == [("login", 200), ("login", 401), ("login", 200)]
    assert product.accounts.password == PASSWORD
    assert kept(tmp_path) == (PASSWORD, False)


@pytest.mark.parametrize("applied", [True, False])
async def test_an_unknown_outcome_keeps_both_and_the_next_call_finds_out(product, ask, tmp_path, monkeypatch, applied):
    members = {} if applied else {"status": 500}
    product.faults.add("/login/passwd", cut="reset", after_bytes=0, **members)

    serve_all = product._serve

    async def serve(request):
        if request.path.endswith("/login/passwd"):
            product.faults.add("/login/l*", status=503)
        return await serve_all(request)

    monkeypatch.setattr(product, "_serve", serve)
    await product.stop()
    await product.start()
    said = await ask("passwd", "evce", "--new-file", "new")
    assert said.code == 3
    assert "nobody knows whether the product took the new password" in said.err
    assert f"{tmp_path / 'secret.new'} holds the new one" in said.err.replace("\n", " ")
    assert "`evce-gateway passwd evce` finds out" in said.err
    assert kept(tmp_path) == (PASSWORD, True)
    assert stat.S_IMODE((tmp_path / "secret.new").stat().st_mode) == 0o600
    product.faults.clear()
    said = await ask("passwd", "evce")
    assert said.code == (0 if applied else 1)
    assert kept(tmp_path) == (NEW if applied else PASSWORD, False)
    assert product.accounts.password == (NEW if applied else PASSWORD)
    assert product.accounts.session is None


@pytest.mark.parametrize("product", ["desc"], indirect=True)
async def test_from_standard_input_and_from_a_terminal(product, ask, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(NEW + "\n"))
    assert (await ask("passwd", "evce")).code == 0
    assert product.accounts.password == NEW
    typed = iter(["Third-Word-2028!", "Third-Word-2028!"])
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr(passwd_module.getpass, "getpass", lambda _text: next(typed))
    assert (await ask("passwd", "evce")).code == 0
    assert product.accounts.password == "Third-Word-2028!"
    typed = iter(["Fourth-Word-2028!", "Fourth-Word-2029!"])
    said = await ask("passwd", "evce")
    assert (said.code, said.err) == (2, "nothing was sent: the two are not the same\n")
    assert kept(tmp_path) == ("Third-Word-2028!", False)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("product", ["desc"], indirect=True)
async def test_a_variable_cannot_be_stored_and_the_text_says_what_to_do(product, ask, tmp_path, monkeypatch):
    monkeypatch.setenv("EVCE_PASSWORD", PASSWORD)
    configure(tmp_path, product, "{env: EVCE_PASSWORD}")
    said = await ask("passwd", "evce", "--new-file", "new")
    assert said.code == 0
    assert product.accounts.password == NEW
    assert "NOT stored here" in said.out
    assert "set the variable EVCE_PASSWORD where the gateway is started, then restart" in said.out
    assert NEW not in said.out + said.err


@pytest.mark.parametrize("product", ["desc"], indirect=True)
async def test_a_credential_cannot_be_stored_and_the_text_has_the_command(product, ask, tmp_path, monkeypatch):
    (tmp_path / "evce-password").write_text(PASSWORD)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    configure(tmp_path, product, "{credential: evce-password}")
    said = await ask("passwd", "evce", "--new-file", "new")
    assert said.code == 0
    assert "systemd-creds encrypt --name=evce-password - /etc/credstore.encrypted/evce-password" in said.out
    assert "systemctl restart evce-gateway" in said.out


@pytest.mark.parametrize("product", ["desc"], indirect=True)
async def test_sources_without_such_a_call_are_refused_in_words(product, ask, tmp_path):
    said = await ask("passwd", "garage", "--new-file", "new")
    assert said.code == 4
    assert "no call that changes a password" in said.err
    said = await ask("passwd", "nobody", "--new-file", "new")
    assert (said.code, said.err) == (2, "there is no source 'nobody'; there is: evce, garage\n")
    (tmp_path / "own.yaml").write_text(f"extends: {MAPPINGS / 'evce.yaml'}\npasswd: null\n")
    text = (tmp_path / "config.yaml").read_text().replace(str(MAPPINGS / "evce.yaml"), "own.yaml")
    (tmp_path / "config.yaml").write_text(text)
    said = await ask("passwd", "evce", "--new-file", "new")
    assert said.code == 4
    assert "own.yaml has no `passwd`" in said.err
    assert product.received == []


@pytest.mark.parametrize("dialect", ["desc", "nested"])
async def test_while_the_gateway_runs_its_own_session_is_used_and_it_goes_on_with_the_new_one(
    tmp_path, ask, dialect, monkeypatch
):
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    async with running_site(tmp_path, dialect, stations=2, zones=1, meters=1) as running:
        await running.complete()
        (tmp_path / "new").write_text(NEW)
        said = await ask("passwd", "evce", "--new-file", str(tmp_path / "new"), "-c", str(running.files.config))
        assert (said.code, said.err) == (0, "")
        assert running.evce.accounts.password == NEW
        assert (tmp_path / "password").read_text().strip() == NEW
        poller = running.daemon.pollers["evce"]
        await until(lambda: poller.source.session_number == 2 and poller.health.connected)
        logins = [item.status for item in running.evce.received if item.path.endswith("/login/login")]
        assert logins == [200, 200]
        assert not poller.health.errors
        said = await ask("passwd", "garage-7", "--new-file", str(tmp_path / "new"), "-c", str(running.files.config))
        assert said.code == 4


async def test_an_unfinished_change_is_named_by_the_gateway_and_settled_in_its_session(tmp_path, ask, monkeypatch):
    """As after a crash between the product's answer and the new file."""
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    clock = AheadClock()
    async with running_site(tmp_path, gateway_clock=clock, password=NEW, stations=1, zones=1, meters=0) as running:
        (tmp_path / "password.new").write_text(NEW)
        health = running.daemon.pollers["evce"].health
        await until(lambda: health.state == "refused")
        clock.ahead_s += 61
        await until(lambda: "a change was not finished: `evce-gateway passwd evce` finds out" in health.reason)
        said = await ask("passwd", "evce", "-c", str(running.files.config))
        assert (said.code, said.err) == (0, "")
        assert (tmp_path / "password").read_text() == NEW
        assert not (tmp_path / "password.new").exists()
        await until(lambda: health.connected)
