"""What comes over the wire, within limits: whatever a server sends, it ends, and it fits into memory.

The limits are a hook of the HTTP client, so that they hold for whatever the SDK reads by itself too: the body of an
error, a count of tokens.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx2

MOST_STREAM_BYTES = 64_000_000
"""Of one streamed reply, decoded. 128,000 tokens, the most that a model writes, take 20 MB where each has an event."""
MOST_ANSWER_BYTES = 64_000_000
"""Of any other answer but the results of a batch, which come line by line and may be many."""
MOST_ERROR_BYTES = 1_000_000
"""Of the body of an error; what is beyond is not read."""
_DECODED_AT_ONCE = 1_000_000


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


def _most_bytes(response: httpx2.Response) -> float:
    if not response.is_success:
        return MOST_ERROR_BYTES
    if response.request.url.path.endswith("/results"):
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
            for piece in decoded(chunk):
                self._left -= len(piece)
                if self._left < 0:
                    if self._fails:
                        raise Refused(f"the server sent more than {self._most:,.0f} bytes", kind="too_large")
                    return
                yield piece

    async def aclose(self) -> None:
        await self._inner.aclose()


def _decoder(encoding: str) -> Callable[[bytes], Iterator[bytes]]:
    if encoding in ("", "identity"):
        return lambda chunk: iter((chunk,))
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise Refused(f"the server encodes as {encoding[:50]!r}, which was not asked for", kind="not_decodable")
    unpacked = zlib.decompressobj(zlib.MAX_WBITS | 32)  # 32: of either kind, by its first bytes

    def decode(chunk: bytes) -> Iterator[bytes]:
        while chunk and not unpacked.eof:
            try:
                yield unpacked.decompress(chunk, _DECODED_AT_ONCE)
            except zlib.error as error:
                raise Refused(f"the server's {encoding} is none: {error}", kind="not_decodable") from None
            chunk = unpacked.unconsumed_tail

    return decode
