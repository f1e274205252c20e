"""What comes over the wire, within limits: whatever a server sends, it ends, it fits into memory, and it comes from the
host that was asked.

Both are hooks of the HTTP client, so that they hold for whatever the SDK reads by itself too: the body of an error, a
count of tokens, the page that a redirect brings.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import httpx2

from workbench.trial.trial import Endpoint

MOST_STREAM_BYTES = 256_000_000
"""Of one streamed reply, decoded. A token in an event of its own takes some 150 bytes for its four."""
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


def hooks(endpoint: Endpoint) -> dict[str, list[Callable[[Any], Awaitable[None]]]]:
    """For the HTTP client that asks this endpoint, as its `event_hooks`."""
    origin = _origin(httpx2.URL(endpoint.base_url))

    async def stay(request: httpx2.Request) -> None:
        # A request of ours goes to the endpoint; another one is where a redirect leads. It would carry the prompts.
        if _origin(request.url) != origin:
            elsewhere = f"{request.url.scheme}://{request.url.host}"
            raise Refused(f"{endpoint.base_url} sends on to {elsewhere}, which was not asked", kind="redirected")

    async def bound(response: httpx2.Response) -> None:
        # Decoded here, piece by piece: the client would decode each chunk whole, however large that becomes.
        encoding = response.headers.pop("content-encoding", "")
        response.stream = _Bounded(response.stream, encoding, _most_bytes(response), fails=response.is_success)

    return {"request": [stay], "response": [bound]}


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


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
