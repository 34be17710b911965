"""Sends an answer through aiohttp, with everything a fault can do to its transport."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Mapping

from aiohttp import web

from gateway.simulator.faults import Fault

HTML = b"<!doctype html><html><head><title>Login</title></head><body><form>Please log in</form></body></html>"
_CHUNK = 1 << 20
_FIXED = {
    "html": HTML,
    "empty": b"",
    "garbage": b'{"id": 1, "status" "Charging", }\x00\x01 not json at all',
    "invalid_utf8": b'{"name": "Bay \xff\xfe\xc3\x28"}',
}


def cut_off(request: web.BaseRequest) -> web.Response:
    """Drops the connection; the response returned for form's sake never reaches anybody."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=503)


async def send(
    request: web.BaseRequest, status: int, headers: Mapping[str, str], body: bytes, faults: list[Fault]
) -> web.StreamResponse:
    """Sends status, headers and body; the first fault with a replacement, a cut or a trickle decides how."""
    replaced = next((fault for fault in faults if fault.replace is not None), None)
    if replaced is not None and replaced.replace in ("huge", "gzip_bomb"):
        return await _send_flood(request, status, headers, replaced)
    if replaced is not None and replaced.replace is not None:
        body = _FIXED[replaced.replace]
        if replaced.replace == "html":
            headers = {**headers, "Content-Type": "text/html; charset=utf-8"}
    cut = next((fault for fault in faults if fault.cut is not None), None)
    if cut is not None:
        return await _send_cut(request, web.StreamResponse(status=status, headers=headers), body, cut)
    trickle_s = max((fault.trickle_s for fault in faults), default=0.0)
    if trickle_s:
        return await _send_trickle(request, web.StreamResponse(status=status, headers=headers), body, trickle_s)
    return web.Response(status=status, headers=headers, body=body)


async def _send_cut(
    request: web.BaseRequest, response: web.StreamResponse, body: bytes, fault: Fault
) -> web.StreamResponse:
    size = len(body) // 2 if fault.after_bytes is None else fault.after_bytes
    if fault.cut == "reset" and size == 0:
        return cut_off(request)
    if fault.cut == "chunked":
        response.enable_chunked_encoding()
    else:
        response.content_length = len(body)
    await response.prepare(request)
    await response.write(body[:size])
    if request.transport is not None:
        if fault.cut == "reset":
            request.transport.abort()
        else:
            request.transport.close()
    return response


async def _send_trickle(
    request: web.BaseRequest, response: web.StreamResponse, body: bytes, pause_s: float
) -> web.StreamResponse:
    response.content_length = len(body)
    await response.prepare(request)
    for place in range(len(body)):
        await response.write(body[place : place + 1])
        await asyncio.sleep(pause_s)
    await response.write_eof()
    return response


async def _send_flood(
    request: web.BaseRequest, status: int, headers: Mapping[str, str], fault: Fault
) -> web.StreamResponse:
    response = web.StreamResponse(status=status, headers=headers)
    squeeze = fault.replace == "gzip_bomb"
    if squeeze:
        response.headers["Content-Encoding"] = "gzip"
    response.enable_chunked_encoding()
    await response.prepare(request)
    async for piece in _flood(int(fault.megabytes * _CHUNK), squeeze=squeeze):
        await response.write(piece)
    await response.write_eof()
    return response


async def _flood(size: int, *, squeeze: bool) -> AsyncIterator[bytes]:
    press = zlib.compressobj(9, wbits=31)
    pieces = [b'["', *[b"x" * _CHUNK] * (size // _CHUNK), b"x" * (size % _CHUNK), b'"]']
    for piece in pieces:
        packed = press.compress(piece) if squeeze else piece
        if packed:
            yield packed
    if squeeze:
        yield press.flush()
