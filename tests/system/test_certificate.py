"""The certificate of a product through the real gateway process: nearing its end, replaced, and trusted anew."""

from __future__ import annotations

import json

from gateway.simulator import make_certificate
from tests.site import until


async def test_U37_U38_a_certificate_near_its_end_is_told_and_a_new_one_needs_a_new_line(bench):
    await bench.products()
    bench.evce.present(make_certificate(days=20.5))
    old = bench.evce.fingerprint
    bench.files.data["sources"][0]["tls"] = {"fingerprint": old}
    bench.files.write()
    process = await bench.run()

    async def evce():
        status = json.loads((await process.cli("status", "--json"))[1])
        return status, status["sources"][0]

    for _ in range(30):
        status, source = await evce()
        if source["state"] == "up" and status["certificates_ending"]:
            break
    assert (source["certificate"], status["certificates_ending"]["evce"]["days"]) == (old, 20)
    assert status["alarms"] >= 1
    code, out, err = await process.cli("status")
    assert (code, err) == (0, "")
    assert f"certificate of evce ends {status['certificates_ending']['evce']['ends']}, in 20 days" in out
    assert bench.log().count("certificate.ends_soon") == 1

    bench.evce.present(make_certificate())
    new = bench.evce.fingerprint
    await until(lambda: "certificate changed" in bench.log())
    for _ in range(30):
        status, source = await evce()
        if source["state"] == "down":
            break
    assert f"certificate changed: expected {old}, got {new}; see `evce-gateway trust`" in source["reason"]
    code, out, _ = await process.cli("trust", "evce")
    assert code == 0
    assert f"config.yaml trusts another certificate: {old}" in out
    assert await process.end() == 0

    line = next(line for line in out.splitlines() if "tls: {fingerprint" in line)
    text = bench.files.config.read_text()
    bench.files.config.write_text(text.replace(old, line.partition('"')[2].partition('"')[0]))
    process = await bench.run()
    for _ in range(30):
        status, source = await evce()
        if source["state"] == "up":
            break
    assert (source["state"], source["certificate"], status["certificates_ending"]) == ("up", new, {})
    logins = [item.status for item in bench.evce.received if item.path.endswith("/login/login")]
    assert logins == [200, 200]
