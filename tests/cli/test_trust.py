"""`evce-gateway trust`: what an integrator sees before he can write the `tls:` line, and after."""

from __future__ import annotations

import asyncio
import json
import shlex
import subprocess

import pytest
import yaml
from cryptography import x509

from gateway.config import load_config
from gateway.simulator import BenderSimulator, EvceSimulator, make_certificate
from tests.faults.proxy import SILENCE, FaultProxy
from tests.site import site_files


@pytest.fixture
def cli(call):
    """Calls the command line in a thread, while the products answer."""

    async def one(*arguments):
        return await asyncio.to_thread(call, *map(str, arguments))

    return one


@pytest.fixture
async def evce():
    async with EvceSimulator() as evce:
        yield evce


@pytest.fixture
async def files(evce, tmp_path):
    async with BenderSimulator() as bender:
        files = site_files(tmp_path, evce, [bender], "desc")
        files.write()
        yield files


@pytest.fixture
def trust(files, cli):
    async def one(*arguments, tls=..., source="evce"):
        if tls is None:
            files.data["sources"][0].pop("tls", None)
        elif tls is not ...:
            files.data["sources"][0]["tls"] = tls
        files.write()
        return await cli("trust", source, "-c", files.config, *arguments)

    return one


async def as_data(trust, **options):
    code, out, err = await trust("--json", **options)
    assert (code, err) == (0, "")
    return json.loads(out)


def dates(certificate):
    """The days from which and until which it holds, as it says itself: another day may begin while a test runs."""
    read = x509.load_pem_x509_certificate(certificate.certificate_pem.encode())
    return read.not_valid_before_utc.date().isoformat(), read.not_valid_after_utc.date().isoformat()


@pytest.mark.parametrize(
    ("tls", "verdict"),
    [
        (None, "config.yaml does not say yet what to trust here: `tls` is missing or cannot be used."),
        ({}, "config.yaml does not say yet what to trust here: `tls` is missing or cannot be used."),
        ({"fingerprint": "sha256:12"}, "config.yaml does not say yet what to trust here: `tls` is missing or"),
        ({"ca_file": "evce.pem"}, "Trusted by config.yaml."),
        ({"ca_file": "none.pem"}, "Not trusted by config.yaml: tls: No such file or directory"),
        (
            {"fingerprint": f"sha256:{'5a' * 32}"},
            f"config.yaml trusts another certificate: sha256:{'5a' * 32}",
        ),
        ({"insecure": True}, "config.yaml accepts any certificate here (insecure: true)."),
    ],
    ids=["missing", "empty", "wrong", "ca", "no file", "other", "insecure"],
)
async def test_the_certificate_is_shown_whatever_the_configuration_says(trust, evce, tls, verdict):
    code, out, err = await trust(tls=tls)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    begin, end = dates(evce)
    assert lines[:6] == [
        f"evce: {evce.url}",
        "  subject      CN=EVCE simulator",
        "  issuer       itself",
        "  names        localhost, 127.0.0.1",
        f"  valid        {begin} to {end}",
        f"  fingerprint  {evce.fingerprint}",
    ]
    assert lines[6].startswith(verdict)
    assert lines[7:9] == ["For config.yaml, at this source:", f'    tls: {{fingerprint: "{evce.fingerprint}"}}']
    assert "Admin > Configuration > Certificate, webserver certificate" in out
    assert evce.received == []


async def test_both_printed_lines_are_what_the_configuration_takes(trust, evce, files):
    code, out, _ = await trust("--save", files.folder / "new.pem", tls=None)
    assert code == 0
    assert (files.folder / "new.pem").read_text() == evce.certificate_pem
    printed = [line.removeprefix("or").strip() for line in out.splitlines() if "tls: {" in line]
    assert printed == [f'tls: {{fingerprint: "{evce.fingerprint}"}}', "tls: {ca_file: new.pem}"]
    for line in printed:
        assert (await as_data(trust, tls=yaml.safe_load(line)["tls"]))["trusted"] is True
        loaded, faults = load_config(files.config)
        assert loaded is not None, faults
    command = shlex.split(out.splitlines()[-1].replace("FILE", str(files.folder / "new.pem")))
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert shown.partition("=")[2].replace(":", "").strip().lower() == evce.fingerprint.removeprefix("sha256:")


async def test_a_file_is_never_written_over(trust, files):
    (files.folder / "evce.pem").write_text("mine")
    code, out, err = await trust("--save", files.folder / "evce.pem")
    assert (code, out) == (2, "")
    assert err.endswith("evce.pem exists already, and a certificate is never written over another\n")
    assert (files.folder / "evce.pem").read_text() == "mine"


async def test_an_expired_certificate_is_shown_and_said_to_be_useless(trust, evce):
    evce.present(make_certificate(expired=True))
    begin, end = dates(evce)
    data = await as_data(trust, tls=None)
    assert (data["trusted"], data["reason"]) == (None, f"certificate expired {end} (valid from {begin})")
    assert data["valid_to"] == end
    _, out, _ = await trust(tls={"fingerprint": evce.fingerprint})
    assert f"Not trusted by config.yaml: certificate expired {end} (valid from {begin})" in out
    _, out, _ = await trust(tls=None)
    assert f"The gateway will not use it: certificate expired {end}" in out


async def test_U38_a_changed_certificate_is_shown_beside_the_one_of_the_configuration(trust, evce):
    old = evce.fingerprint
    evce.present(make_certificate())
    for tls in ({"fingerprint": old}, {"ca_file": "evce.pem"}):
        data = await as_data(trust, tls=tls)
        assert data["trusted"] is False
        assert data["fingerprint"] == evce.fingerprint
        assert old in data["reason"]
        assert evce.fingerprint in data["reason"]


async def test_text_of_the_certificate_cannot_paint_the_terminal(trust, evce):
    evce.present(make_certificate(subject="[red]\x1b[2J\nOwned"))
    code, out, _ = await trust()
    assert code == 0
    assert "\x1b" not in out
    assert "\nOwned" not in out
    assert "[red]" in out


async def test_not_reached_is_3_and_an_unknown_source_2(trust, evce, files):
    code, out, err = await trust(source="evse")
    assert (code, out) == (2, "")
    assert err == f"there is no source 'evse' in {files.config}\n"
    async with FaultProxy(("127.0.0.1", evce._port)) as way:
        files.data["sources"][0]["url"] = f"https://127.0.0.1:{way.port}"
        await way.refuse()
        code, out, err = await trust()
        assert (code, out) == (3, "")
        assert err.startswith(f"evce: https://127.0.0.1:{way.port}: cannot connect: ")
        await way.listen()
        way.fault = SILENCE
        code, out, err = await trust()
        assert (code, out, err) == (3, "", f"evce: https://127.0.0.1:{way.port}: no TLS connection within 5 s\n")


async def test_plain_http_has_no_certificate(trust, files):
    code, out, err = await trust(source="garage-7")
    assert (code, err) == (0, "")
    assert "is plain http: there is no certificate" in out
    files.data["sources"][0]["url"] = files.data["sources"][1]["url"].replace("http:", "https:")
    code, _, err = await trust()
    assert code == 3
    assert err.endswith("what answers there does not speak TLS\n")


async def test_a_configuration_that_is_wrong_elsewhere_is_no_hindrance_but_its_url_is(trust, files):
    files.data["sources"][0]["mapping"] = "none.yaml"
    files.data["modbus"] = {"nonsense": True}
    assert (await as_data(trust))["trusted"] is True
    files.data["sources"][0]["url"] = "https://user:secret@evce/x"
    code, _, err = await trust()
    assert code == 1
    assert "config.yaml:" in err
    assert "sources[0].url: must be http(s)://HOST" in err
    assert "secret" not in err
    files.data["sources"] = 5
    assert (await trust(source="evce", tls=...))[0] == 2


async def test_a_file_that_is_no_yaml_is_a_fault(cli, tmp_path):
    (tmp_path / "config.yaml").write_text("sources: [")
    code, _, err = await cli("trust", "evce", "-c", tmp_path / "config.yaml")
    assert code == 1
    assert "config.yaml:2:1: is not YAML" in err
