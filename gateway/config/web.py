"""The part of config.yaml about the web listener: the page, its API, /healthz and /metrics."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal

from pydantic import Field, model_validator

from gateway.config.check import Strict, WrongKeyError, in_words
from gateway.config.downstream import KeyFile
from gateway.config.fields import Listen, Networks

HOST_NAME = in_words(
    r"^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$",
    "must be the name of a host, e.g. gateway.example.com, without http:// and without a port",
)


class WebTls(Strict):
    """The site's own certificate for the page."""

    certificate: str = Field(description="PEM file of the certificate, with its chain, relative to this file")
    key: KeyFile = Field(description="where the private key of that certificate is")


class WebConfig(Strict):
    """The web listener: page and API for users (`evce-gateway user add`), /healthz, and /metrics."""

    listen: Listen = Field("127.0.0.1:8080", description="ADDRESS:PORT; another address than this machine's needs tls")
    tls: WebTls | Literal["self_made"] | None = Field(
        None, description="the site's certificate, or self_made: made at the first start; left out: http, loopback only"
    )
    names: list[Annotated[str, Field(pattern=HOST_NAME)]] = Field(
        default_factory=list, description="names under which browsers may open the page, beside its addresses"
    )
    metrics_allow: Networks = Field(
        default_factory=list, description="addresses or networks that may read /metrics; empty: nobody"
    )

    @property
    def host(self) -> str:
        """The address without the port."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port, 0 for any free one."""
        return int(self.listen.rpartition(":")[2])

    @property
    def is_local(self) -> bool:
        """Whether only this machine can connect."""
        return ipaddress.ip_address(self.host).is_loopback

    @model_validator(mode="after")
    def _safe(self) -> WebConfig:
        if self.tls is None and not self.is_local:
            text = "passwords would cross the network in the clear: add tls: self_made (or your own certificate), "
            raise WrongKeyError("listen", f"{text}or listen on 127.0.0.1")
        return self
