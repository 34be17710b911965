"""The single request path to every product: time-outs, size cap, strict JSON, and one place that names errors."""

from __future__ import annotations

import asyncio
import json
import math
import re
import ssl
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn

import aiohttp

from gateway.core.errors import Ambiguous, BadAnswer, Refused, SessionLost, Unreachable
from gateway.core.value import shorten
from gateway.sources.certificate import Certificate
from gateway.sources.names import KeepingResolver
from gateway.sources.trust import PROGRESS, Progress, TlsCheck, Trust, tls_text

CONNECT_S = 5.0
TOTAL_S = 10.0
LARGEST_ANSWER = 4 * 1024 * 1024
_CHUNK = 64 * 1024
RETRY_AFTER_AT_MOST_S = 3600.0
LONGEST_SHOWN = 160
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
"""What a document with half a surrogate pair holds, and one with whole pairs may hold."""
_LONE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Answer:
    """A product's answer with status 2xx; `document` is None when the body was empty.

    `date` is the product's own clock when it answered, Unix time, None without a usable `Date`.
    """

    status: int
    document: Any
    date: float | None = None


def new_client_session(parallel: int, resolver: KeepingResolver | None = None) -> aiohttp.ClientSession:
    """A client session of one source: no cookies, no proxy, at most `parallel` + 2 connections (2 for commands).

    A host name is resolved at every new connection, so that a product that moved is found at once.

    aiohttp would send a PUT again by itself when its connection breaks. Absolute values make that harmless for the
    limit, but the repeat would come without the GET that has to settle an ambiguous end, and after the caller may
    have asked for something newer. So it is switched off; `Http` repeats reads, and nothing but reads.
    """
    client = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=parallel + 2, resolver=resolver or KeepingResolver(), use_dns_cache=False, enable_cleanup_closed=False
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "evce-gateway"},
        trust_env=False,
    )
    client._retry_connection = False  # noqa: SLF001  # there is no public switch
    return client


class Http:
    """Requests to one product."""

    def __init__(
        self,
        client: aiohttp.ClientSession,
        url: str,
        trust: Trust,
        *,
        connect_s: float = CONNECT_S,
        total_s: float = TOTAL_S,
        largest: int = LARGEST_ANSWER,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Reads the certificate file of `trust`; `wall` is Unix time, by which certificates are in date.

        Raises:
            OSError: the file cannot be read or is no certificate.
        """
        self._client = client
        self._url = url
        self._tls = TlsCheck(trust, url, wall)
        self._timeout = aiohttp.ClientTimeout(total=total_s, sock_connect=connect_s)
        self._total_s, self._connect_s, self._largest = total_s, connect_s, largest

    @property
    def certificate(self) -> Certificate | None:
        """What the product presented at the newest connection; None before one and on plain http."""
        return self._tls.certificate

    async def request(
        self, method: str, path: str, *, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Sends one request and decodes its JSON.

        Raises:
            Unreachable: nothing was carried out: name, connection or TLS failed.
            Ambiguous: the request left and its end is unknown.
            SessionLost: 401.
            Refused: any other status that is not 2xx, redirects included.
            BadAnswer: too large, compressed, or not JSON.
        """
        where = _where(method, path)
        try:
            try:
                return await self._once(method, path, body, headers)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                if method != "GET" or isinstance(error, aiohttp.ClientConnectorError):
                    raise
                return await self._once(method, path, body, headers)
        except aiohttp.ClientConnectorCertificateError as error:
            raise Unreachable(await self._tls.explain(error.certificate_error)) from error
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise self._translated(error, where) from error

    async def _once(self, method: str, path: str, body: Any, headers: Mapping[str, str] | None) -> Answer:
        where = _where(method, path)
        PROGRESS.set(Progress())
        async with self._client.request(
            method,
            self._url + path,
            json=body,
            headers=headers,
            ssl=self._tls.context(),
            timeout=self._timeout,
            allow_redirects=False,
        ) as response:
            if not 200 <= response.status < 300:
                self._refuse(response, await self._reason(response, where), where)
            document = decode(await self._read(response, where), where)
            return Answer(response.status, document, _date(response.headers.get("Date")))

    async def _reason(self, response: aiohttp.ClientResponse, where: str) -> bytes:
        """The body of a refusal, which only explains: what is wrong with it must not hide the status."""
        try:
            return await self._read(response, where)
        except (BadAnswer, aiohttp.ClientError, TimeoutError, OSError):
            return b""

    async def _read(self, response: aiohttp.ClientResponse, where: str) -> bytes:
        if response.headers.get("Content-Encoding", "identity").lower() not in ("", "identity"):
            raise BadAnswer(f"{where}: compressed though not asked for")
        parts: list[bytes] = []
        size = 0
        async for part in response.content.iter_chunked(_CHUNK):
            size += len(part)
            if size > self._largest:
                response.close()
                raise BadAnswer(f"{where}: answer too large (over {self._largest // 1024} kB)")
            parts.append(part)
        return b"".join(parts)

    def _refuse(self, response: aiohttp.ClientResponse, content: bytes, where: str) -> NoReturn:
        status = response.status
        text = f"{where}: {status}"
        if 300 <= status < 400:
            raise Refused(f"{text}, a redirect, is not followed", status)
        if message := _message(content):
            text += f" {message}"
        if status == 401:
            raise SessionLost(text, status)
        raise Refused(text, status, _retry_after(response.headers.get("Retry-After"), response.headers.get("Date")))

    def _translated(self, error: Exception, where: str) -> Exception:
        """Every library exception, translated in this one function."""
        match error:
            case aiohttp.ConnectionTimeoutError() | aiohttp.ClientConnectorError():
                return Unreachable(self._why_unconnected(error))
            case aiohttp.InvalidURL():
                return BadAnswer(f"{where}: not a usable address")
            case TimeoutError() | asyncio.TimeoutError():
                return Ambiguous(f"{where}: no answer within {self._total_s:g} s")
            case aiohttp.ClientPayloadError():
                return Ambiguous(f"{where}: the answer broke off")
            case aiohttp.ClientConnectionError() | OSError():
                return Ambiguous(f"{where}: the connection broke")
            case aiohttp.ClientResponseError():
                what = shorten(error.message.partition("\n")[0].rstrip(":"))
                return Ambiguous(f"{where}: what came back is not HTTP: {what}")
            case aiohttp.ClientError():
                return Ambiguous(f"{where}: the exchange failed: {shorten(str(error))}")
            case _:
                return error if isinstance(error, BadAnswer) else BadAnswer(f"{where}: {error}")

    def _why_unconnected(self, error: aiohttp.ClientError) -> str:
        progress = PROGRESS.get()
        shaking = progress is not None and progress.handshake
        match error:
            case aiohttp.ConnectionTimeoutError():
                what = "connected, but no TLS handshake" if shaking else "no connection"
                return f"{what} within {self._connect_s:g} s"
            case aiohttp.ClientConnectorDNSError():
                return f"the host name is not known: {error.host}: {error.os_error.strerror}"
            case aiohttp.ClientConnectorSSLError() if isinstance(error.os_error, ssl.SSLError):
                return tls_text(error.os_error)
            case aiohttp.ClientConnectorError() if not shaking:
                return f"cannot connect: {error.strerror or error.os_error}"
            case _:
                return "the connection broke in the TLS handshake"


def decode(content: bytes, where: str) -> Any:
    """Strict JSON: UTF-8, no duplicate keys, bounded nesting; NaN and Infinity come through for points to refuse.

    Half a surrogate pair becomes U+FFFD: it can stand in no file, no log and no answer of ours.

    Raises:
        BadAnswer: with what is wrong.
    """
    if not content.strip():
        return None
    try:
        document = json.loads(content.decode("utf-8-sig"), object_pairs_hook=_object)
        return _whole(document) if _HALF.search(content) else document
    except RecursionError:
        raise BadAnswer(f"{where}: malformed JSON: nested too deep") from None
    except _TwiceError as error:
        raise BadAnswer(f"{where}: malformed JSON: the member {error} stands twice") from None
    except UnicodeDecodeError:
        raise BadAnswer(f"{where}: malformed JSON: not UTF-8") from None
    except json.JSONDecodeError as error:
        begins = shorten(content[:40].decode("utf-8", "replace"))
        raise BadAnswer(f"{where}: not JSON ({error.msg} at {error.pos}), begins {begins}") from None
    except ValueError as error:
        raise BadAnswer(f"{where}: malformed JSON: {shorten(str(error))}") from None


class _TwiceError(Exception):
    """A member stands twice in an object."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        raise _TwiceError(shorten(next(name for name, count in counts.items() if count > 1)))
    return members


def _whole(document: Any) -> Any:
    """The document with every half of a surrogate pair replaced."""
    if isinstance(document, str):
        return _LONE.sub("\ufffd", document)
    if isinstance(document, list):
        return [_whole(item) for item in document]
    if isinstance(document, dict):
        return {_whole(name): _whole(item) for name, item in document.items()}
    return document


def _message(content: bytes) -> str:
    """The `message` of an error body (generic_error: {code, message}); "" when there is none."""
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        return ""
    message = body.get("message") or body.get("cause") if isinstance(body, dict) else None
    return shorten(message) if isinstance(message, str) else ""


def _date(text: str | None) -> float | None:
    try:
        return parsedate_to_datetime(text or "").timestamp()
    except (ValueError, OverflowError):
        return None


def _retry_after(text: str | None, date: str | None) -> float | None:
    """Seconds to wait, said as a number or as a time by the product's own clock."""
    try:
        seconds = float(text or "nan")
    except ValueError:
        until, now = _date(text), _date(date)
        if until is None or now is None:
            return None
        seconds = until - now
    return None if math.isnan(seconds) else min(max(seconds, 0.0), RETRY_AFTER_AT_MOST_S)


def _where(method: str, path: str) -> str:
    """A request as a person reads it: a query may name hundreds of settings."""
    return f"{method} {path if len(path) <= LONGEST_SHOWN else path[: LONGEST_SHOWN - 3] + '...'}"
