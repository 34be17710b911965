"""Outward: the products the gateway logs in to."""

from gateway.sources.bender import BenderSession
from gateway.sources.certificate import Certificate, date
from gateway.sources.evce import EvceSession, TokenStore
from gateway.sources.http import Http, new_client_session
from gateway.sources.names import KeepingResolver
from gateway.sources.resource import MappedSource
from gateway.sources.trust import Trust, look, objection_to

__all__ = [
    "BenderSession",
    "Certificate",
    "EvceSession",
    "Http",
    "KeepingResolver",
    "MappedSource",
    "TokenStore",
    "Trust",
    "date",
    "look",
    "new_client_session",
    "objection_to",
]
