"""Outward: the products the gateway logs in to."""

from gateway.sources.bender import BenderSession
from gateway.sources.evce import EvceSession, TokenStore
from gateway.sources.http import Http, Trust, new_client_session
from gateway.sources.resource import MappedSource

__all__ = [
    "BenderSession",
    "EvceSession",
    "Http",
    "MappedSource",
    "TokenStore",
    "Trust",
    "new_client_session",
]
