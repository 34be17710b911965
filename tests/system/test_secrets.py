"""No secret leaves the places that are made for it: a real gateway at the debug level, and everything it says."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import json
import socket
import tarfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest
import yaml
from rusty_bacnet import BACnetClient, BacnetProtocolError, EnableDisable

from gateway.cli import main
from gateway.core.role import Role
from gateway.store.users import UserBook
from tests.servers.modbus.authority import Authority
from tests.site import PASSWORD, ROOT, free_port, until
from tests.system.conftest import Bench, Process
from tests.system.test_service import REDUCTION, complete
from tests.web.rig import PAGE

CHARGER_PASSWORD, WRONG_PASSWORD = "Charger+2026/secret?", "Not-The-Password-2026!"
DCC_PASSWORD = "dcc+Secret=2026"
PAGE_PASSWORD, WRONG_PAGE_PASSWORD = "a page password 2026", "a wrong page password"
CONTROL = ("/status", "/points", "/addresses", "/map", "/answers")
COMMANDS = (
    ("status",),
    ("status", "--json"),
    ("points", "--json"),
    ("read", REDUCTION),
    ("addresses", "list", "--json"),
    ("addresses", "publish"),
    ("plan", "--json"),
    ("check", "--json"),
    ("export", "registers", "-f", "html"),
    ("export", "pics"),
    ("export", "points"),
    ("evidence", "show"),
    ("evidence", "export", "-"),
    ("user", "list", "--json"),
    ("checkout", "--json"),
)
KEPT = ("addresses.yaml", "accepted.json", "published.json", "users.json")
ABOUT_A_POINT = {f"/api/v1/{path}" for path in ("point", "history", "evidence/report")}
OWN_PLACES = {
    "page key": {"state/page.key"},
    "key of the page": {"state/page.pem"},
    "EVCE token": {"state/tokens/evce"},
    "charger session": {"state/tokens/garage-7"},
}
"""The only files in which a secret may stand, beside those that the operator made."""


def forms(secret: str | bytes) -> set[bytes]:
    """A secret as it is, and as it would stand in JSON, an address, a header or a dump."""
    raw = secret.encode() if isinstance(secret, str) else secret
    found = {raw, base64.b64encode(raw).rstrip(b"="), raw.hex().encode()}
    if isinstance(secret, str):
        found |= {json.dumps(secret)[1:-1].encode(), quote(secret, safe="").encode()}
    return found


class Said:
    """Everything that was said, by who said it."""

    def __init__(self) -> None:
        self.all: dict[str, bytes] = {}

    def add(self, who: str, what: str | bytes) -> None:
        self.all[who] = what.encode() if isinstance(what, str) else what

    def leaks(self, secrets: dict[str, str | bytes]) -> list[tuple[str, str]]:
        return [
            (name, who)
            for name, secret in secrets.items()
            for who, what in self.all.items()
            if who not in OWN_PLACES.get(name, ()) and any(form in what for form in forms(secret))
        ]


def key_of(file: Path) -> bytes:
    """A line of a PEM file's private key."""
    text = file.read_text()
    return text[text.index("PRIVATE KEY-----") :].splitlines()[1].encode()


def site_with_secrets(bench: Bench) -> dict[str, str | bytes]:
    """The files of a site with every kind of secret there is."""
    folder, data = bench.folder, bench.files.data
    authority = Authority(folder, "site-ca")
    _, key = authority.issue("gateway")
    (folder / "charger").write_text(CHARGER_PASSWORD)
    (folder / "dcc").write_text(DCC_PASSWORD)
    data["sources"][1]["password"] = {"file": "charger"}
    data["bacnet"] |= {"dcc_password": {"file": "dcc"}, "reinitialize": True}
    data["modbus"]["tls"] = {
        "listen": f"127.0.0.1:{free_port(socket.SOCK_STREAM)}",
        "certificate": "gateway.crt",
        "key": {"file": "gateway.key"},
        "client_ca": "site-ca.pem",
        "roles": {"Operator": "bms"},
    }
    data["web"] = {
        "listen": f"127.0.0.1:{free_port(socket.SOCK_STREAM)}",
        "tls": "self_made",
        "metrics_allow": ["127.0.0.1"],
    }
    bench.files.write()
    return {
        "EVCE password": PASSWORD,
        "wrong EVCE password": WRONG_PASSWORD,
        "charger password": CHARGER_PASSWORD,
        "DCC password": DCC_PASSWORD,
        "page password": PAGE_PASSWORD,
        "wrong page password": WRONG_PAGE_PASSWORD,
        "Modbus key": key_of(key),
    }


async def log_in(client: aiohttp.ClientSession, name: str, password: str) -> int:
    async with client.post("/api/v1/login", json={"name": name, "password": password}) as answer:
        return answer.status


async def hear_page(said: Said, base: str) -> str:
    """Every answer of the page to somebody who may see all; returns the cookie's value."""
    document = yaml.safe_load((ROOT / "gateway" / "web" / "openapi.yaml").read_text())
    gets = [path for path, verbs in document["paths"].items() if "get" in verbs and not path.endswith("/events")]
    jar = aiohttp.CookieJar(unsafe=True)
    connector = aiohttp.TCPConnector(ssl=False)
    async with aiohttp.ClientSession(base, headers=PAGE, cookie_jar=jar, connector=connector) as client:
        assert await log_in(client, "adam", WRONG_PAGE_PASSWORD) == 401
        assert await log_in(client, "adam", PAGE_PASSWORD) == 200
        async with client.get("/api/v1/downloads") as answer:
            names = [row["name"] for row in (await answer.json())["downloads"]]
        assert names
        paths = [path.replace("{name}", name) for path in gets for name in (names if "{name}" in path else [""])]
        for path in paths:
            asked = {"point": REDUCTION} if path in ABOUT_A_POINT else {}
            async with client.get(path, params=asked) as answer:
                said.add(path, await answer.read())
                assert answer.status in {200, 503}, (path, answer.status)
        return next(iter(jar)).value


async def hear_control(said: Said, path: Path) -> None:
    async with aiohttp.ClientSession("http://gateway", connector=aiohttp.UnixConnector(str(path))) as client:
        for asked in CONTROL:
            async with client.get(asked) as answer:
                assert answer.status == 200
                said.add(f"control {asked}", await answer.read())


def hear_command(said: Said, arguments: tuple[str, ...], config: Path) -> int:
    """One command in this process, which says the same as in its own."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out), pytest.raises(SystemExit) as ended:
        main([*arguments, "-c", str(config)])
    said.add(" ".join(arguments[:2]), out.getvalue())
    assert isinstance(ended.value.code, int)
    return ended.value.code


def files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """What stands in the state directory, and in an archive of it."""
    for path in folder.rglob("*"):
        if path.is_file():
            yield path.relative_to(folder.parent).as_posix(), path.read_bytes()


@pytest.mark.timeout(120)
async def test_no_secret_is_in_logs_answers_exports_evidence_archives_or_the_process_table(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    await bench.products()
    secrets = site_with_secrets(bench)
    bench.benders[0].login.password = CHARGER_PASSWORD
    said, state = Said(), bench.folder / "state"
    UserBook(state).add("adam", Role.ADMIN, PAGE_PASSWORD)
    process = await bench.run("--log", "debug")
    await complete(process)
    await provoke(bench, process)
    base = f"https://{bench.files.data['web']['listen']}"
    secrets["page session"] = await hear_page(said, base)
    secrets["EVCE token"] = (state / "tokens" / "evce").read_text()
    session = bench.evce.accounts.session
    assert session is not None
    assert session.token in secrets["EVCE token"]
    secrets["EVCE token"] = session.token
    charger = bench.benders[0].login.session
    assert charger is not None
    secrets["charger session"] = charger.id
    secrets["page key"], secrets["key of the page"] = (state / "page.key").read_bytes(), key_of(state / "page.pem")
    await hear_control(said, state / "control.sock")
    for arguments in COMMANDS:
        named = tuple(str(bench.folder / "evidence.csv") if one == "-" else one for one in arguments)
        code = await asyncio.to_thread(hear_command, said, named, bench.files.config)
        assert code in {0, 1}, (arguments, said.all[" ".join(arguments[:2])])
    said.add("evidence.csv", (bench.folder / "evidence.csv").read_bytes())
    archive = bench.folder / "backup.tar.gz"
    assert await asyncio.to_thread(hear_command, said, ("backup", str(archive)), bench.files.config) == 0
    table = Path(f"/proc/{process.process.pid}")
    for what in ("cmdline", "environ"):
        said.add(what, (table / what).read_bytes())
    assert await process.end() == 0
    said.add("log", bench.log())
    for name, content in files(state):
        said.add(name, content)
    with tarfile.open(archive) as members:
        for member in members:
            found = members.extractfile(member)
            said.add(f"backup {member.name}", found.read() if found is not None else b"")
    assert {f"state/{name}" for name in KEPT} <= said.all.keys()
    assert b"login" in said.all["log"], "the log is at the debug level"
    assert said.leaks(secrets) == []
    for name, places in OWN_PLACES.items():
        if name not in {"EVCE token", "charger session"}:  # a logout removed those
            assert all(any(form in said.all[place] for form in forms(secrets[name])) for place in places), name


async def provoke(bench: Bench, process: Process) -> None:
    """What makes a gateway talk: refused logins, refused reloads, errors that quote, requests with passwords."""
    await bench.evce.do("set_password", password=WRONG_PASSWORD)
    await until(lambda: "'bms' refused" in bench.log(), 30.0)
    (bench.folder / "password").write_text(WRONG_PASSWORD)
    good = bench.files.config.read_text()
    bench.files.config.write_text(good + "\nnonsense: [\n")
    said = Said()
    await asyncio.to_thread(hear_command, said, ("reload",), bench.files.config)
    bench.files.config.write_text(good)
    assert await asyncio.to_thread(hear_command, said, ("reload",), bench.files.config) == 0
    await complete(process)
    assert said.leaks({"new": WRONG_PASSWORD, "old": PASSWORD}) == []
    own = bench.files.data["bacnet"]["address"].rpartition(":")[2]
    async with BACnetClient("127.0.0.1", 0, "127.255.255.255", 3000) as client:
        for password in (DCC_PASSWORD[:-1], DCC_PASSWORD):
            with contextlib.suppress(BacnetProtocolError):
                await client.device_communication_control(
                    f"127.0.0.1:{own}", EnableDisable.DISABLE_INITIATION, 1, password
                )
    code = await asyncio.to_thread(hear_command, said, ("write", REDUCTION, "20"), bench.files.config)
    assert code == 0, said.all
