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
        {"authState": "authorized_for_charging", "session": {"energy": 3, "id_tag": "04A2"}},
        {"result": [{"key": "OperatorCurrentLimit", "value": 32}]},
        {"values": [{"name": "current_l1", "unit": "A", "value": 1.0}], "keyboard": 1, "monkey": "x"},
        {"station_authentication_mode": "rfid", "url": "https://192.168.0.128/api/v2"},
    ],
)
def test_what_is_no_secret_stays(document: Any) -> None:
    assert hide(document, ("s3cret",)) == document
