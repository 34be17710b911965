"""Secrets do not come out, and what is no secret does."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.mapping.openapi import HIDDEN, hide

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJqdGkiOjEyM30.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    "document",
    [
        {"password": "s3cret"},
        {"wlan": {"WifiPassword_wlan": {"value": "s3cret", "short": "x"}}},
        {"apiKey": "s3cret"},
        {"ocpp": {"authorization_key": "s3cret"}},
        {"clientSecret": ["s3cret"]},
        {"ACCESS_TOKEN": {"a": {"b": "s3cret"}}},
        {"result": [{"key": "WlanPassphrase", "value": "s3cret", "default": "s3cret"}]},
        {"result": {"Code_x": {"type": "password", "value": "s3cret"}}},
        {"backend": "wss://user:s3cret@cpo.example/ocpp"},
        {"log": "Authorization: Bearer s3cretABCDEF=="},
        {"note": f"it is {JWT.replace('eyJqdGki', 's3cretxx')}"},
        {"free": "the s3cret-Password-1! stands in a text"},
        {"s3cret-Password-1!": 3},
        {"cert": "-----BEGIN EC PRIVATE KEY-----\ns3cret\n-----END EC PRIVATE KEY-----"},
    ],
)
def test_secrets_are_hidden(document: Any) -> None:
    shown = str(hide(document, ("s3cret-Password-1!",)))
    assert "s3cret" not in shown
    assert HIDDEN in shown


@pytest.mark.parametrize(
    "document",
    [
        {"authState": "authorized_for_charging", "session": {"energy": 3}},
        {"result": [{"key": "OperatorCurrentLimit", "value": 32}]},
        {"values": [{"name": "current_l1", "unit": "A", "value": 1.0}], "keyboard": 1, "monkey": "x"},
        {"station_authentication_mode": "rfid", "url": "https://192.168.0.128/api/v2"},
    ],
)
def test_what_is_no_secret_stays(document: Any) -> None:
    assert hide(document, ("s3cret",)) == document


@pytest.mark.parametrize(
    "document",
    [
        {"session": {"id_tag": "04A2B3"}},
        {"transaction": {"tag": "04A2B3", "energy": 3}},
        {"idTag": 4123456789012},
        {"rfid_tags": ["04A2B3", {"id": "04A2B3", "blocked": False}]},
        {"user": {"display": "04A2B3", "count": 2}},
        {"values": [{"name": "LastRfidTag", "value": "04A2B3"}]},
        {"driverEmail": "04A2B3@example.org"},
    ],
)
def test_who_charged_is_hidden(document: Any) -> None:
    shown = str(hide(document))
    assert "04A2B3" not in shown
    assert "4123456789012" not in shown
    assert HIDDEN in shown


@pytest.mark.parametrize(
    "document", [{"rfid_enabled": True, "tag_count": 12, "tag": None, "stage": "a", "tag_list": []}]
)
def test_what_tells_of_nobody_stays(document: Any) -> None:
    assert hide(document) == document
