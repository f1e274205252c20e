"""What comes over the wire, within limits: whatever a server sends, it ends, and it fits into memory.

The limits are a hook of the HTTP client, so that they hold for whatever the SDK reads by itself too: the body of an
error, a count of tokens.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import Any

import httpx2

MOST_STREAM_BYTES = 64_000_000
"""Of one streamed reply, decoded. 128,000 tokens, the most that a model writes, take 20 MB where each has an event."""
MOST_ANSWER_BYTES = 64_000_000
"""Of any other answer but the results of a batch, which come line by line and may be many."""
MOST_ERROR_BYTES = 1_000_000
"""Of the body of an error; what is beyond is not read."""
_AT_ONCE = 65_536
"""Bytes handed on in one piece: one that is all line ends is taken in 15 ms, in which nothing else goes on."""


class Refused(httpx2.TransportError):
    """What a server sent is not taken; `kind` is the type of the failure that it makes."""

    def __init__(self, message: str, *, kind: str) -> None:
        super().__init__(message)
        self.kind = kind


async def bound(response: httpx2.Response) -> None:
    """Bounds what may be read of this response, and decodes it piece by piece: the client would decode a chunk whole,
    however large that becomes. For an HTTP client, as one of its `event_hooks`."""
    encoding = response.headers.pop("content-encoding", "")
    response.stream = _Bounded(response.stream, encoding, _most_bytes(response), fails=response.is_success)


def only_to(base_url: str) -> Callable[[httpx2.Request], Awaitable[None]]:
    """Refuses a request to any other host than that of this address, whoever makes it: the SDK fetches the results of a
    batch with the key from wherever the server says that they are. For an HTTP client, as one of its `event_hooks`."""
    ours = httpx2.URL(base_url)

    async def refuse_others(request: httpx2.Request) -> None:
        theirs = request.url
        if (theirs.scheme, theirs.host, theirs.port) != (ours.scheme, ours.host, ours.port):
            where = f"{theirs.scheme}://{theirs.netloc.decode('ascii', 'replace')}"
            raise Refused(f"the server sends on to {where}, and the key is for {base_url}", kind="another_host")

    return refuse_others


def _most_bytes(response: httpx2.Response) -> float:
    if not response.is_success:
        return MOST_ERROR_BYTES
    if response.request.url.raw_path.partition(b"?")[0].endswith(b"/results"):
        return float("inf")
    is_stream = response.headers.get("content-type", "").lower().startswith("text/event-stream")
    return MOST_STREAM_BYTES if is_stream else MOST_ANSWER_BYTES


class _Bounded(httpx2.AsyncByteStream):
    """The decoded bytes of another stream, up to a number; then it fails, or ends as if that were all."""

    def __init__(self, inner: Any, encoding: str, most: float, *, fails: bool) -> None:
        self._inner = inner
        self._encoding = encoding.strip().lower()
        self._left = most
        self._most = most
        self._fails = fails

    async def __aiter__(self) -> AsyncIterator[bytes]:
        decoded = _decoder(self._encoding)
        async for chunk in self._inner:
            for piece in _parted(chunk) if decoded is None else decoded(chunk):
                self._left -= len(piece)
                if self._left < 0:
                    if self._fails:
                        raise Refused(f"the server sent more than {self._most:,.0f} bytes", kind="too_large")
                    return
                yield piece
                if len(piece) == _AT_ONCE:
                    # There may be thousands more, and none of them is waited for: no deadline would pass meanwhile.
                    await asyncio.sleep(0)

    async def aclose(self) -> None:
        await self._inner.aclose()


def _parted(chunk: bytes) -> Iterable[bytes]:
    if len(chunk) <= _AT_ONCE:  # nearly all are
        return (chunk,)
    return (chunk[at : at + _AT_ONCE] for at in range(0, len(chunk), _AT_ONCE))


def _decoder(encoding: str) -> Callable[[bytes], Iterator[bytes]] | None:
    """`None` where the bytes are as they come."""
    if encoding in ("", "identity"):
        return None
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise Refused(f"the server encodes as {encoding[:50]!r}, which was not asked for", kind="not_decodable")
    unpacked = zlib.decompressobj(zlib.MAX_WBITS | 32)  # 32: of either kind, by its first bytes

    def decode(chunk: bytes) -> Iterator[bytes]:
        while chunk and not unpacked.eof:
            try:
                yield unpacked.decompress(chunk, _AT_ONCE)
            except zlib.error as error:
                raise Refused(f"the server's {encoding} is none: {error}", kind="not_decodable") from None
            chunk = unpacked.unconsumed_tail

    return decode
