"""Field types that several parts of config.yaml share: names, networks, addresses and secrets."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from gateway.config.check import Strict, in_words

NAME = in_words(
    r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$",
    "must begin with a letter or digit and hold only letters, digits, _ . - (at most 40)",
)
Name = Annotated[str, Field(pattern=NAME)]


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) or value is None else [value]


def _network(value: Any) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(str(value), strict=False)
    except ValueError:
        raise ValueError("must be an address or a network such as 10.0.0.0/24") from None


def _listen(value: str) -> str:
    match = re.fullmatch(r"([0-9.]+|\[[0-9a-fA-F:.]+\]):([0-9]{1,5})", value)
    try:
        if match is None:
            raise ValueError
        ipaddress.ip_address(match[1].strip("[]"))
    except ValueError:
        raise ValueError("must be ADDRESS:PORT, e.g. 10.0.0.5:502 or [::1]:502") from None
    if int(match[2]) > 65535:
        raise ValueError("the port must be 0..65535")
    return value


Network = Annotated[Any, BeforeValidator(_network), WithJsonSchema({"type": "string"})]
Networks = Annotated[
    list[Network],
    BeforeValidator(_as_list),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
Listen = Annotated[str, AfterValidator(_listen)]


class Secret(Strict):
    """Where a password is read from; exactly one of the three."""

    credential: str | None = Field(None, description="name of a systemd credential (LoadCredential=)")
    file: str | None = Field(None, description="a file holding only the password")
    env: str | None = Field(None, description="an environment variable")

    @model_validator(mode="before")
    @classmethod
    def _no_literal(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError("a password is not written here; say {credential: NAME}, {file: PATH} or {env: NAME}")
        return value

    @model_validator(mode="after")
    def _one(self) -> Secret:
        if (self.credential, self.file, self.env).count(None) != 2:
            raise ValueError("say exactly one of credential, file, env")
        return self
