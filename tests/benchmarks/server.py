"""A lean Messages API on 127.0.0.1 for benchmarks, in a process of its own: 120 words in 30 pieces after a delay."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

PIECES = 30


def _event(kind: str, **data: object) -> bytes:
    body = f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n".encode()
    return b"%x\r\n%s\r\n" % (len(body), body)


BEGIN = _event(
    "message_start", message={"model": "m", "usage": {"input_tokens": 500, "output_tokens": 1}, "content": []}
) + _event("content_block_start", index=0, content_block={"type": "text", "text": ""})
PIECE = _event("content_block_delta", index=0, delta={"type": "text_delta", "text": "four words of text "})
END = (
    _event("content_block_stop", index=0)
    + _event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 150})
    + _event("message_stop")
    + b"0\r\n\r\n"
)
HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nrequest-id: req_bench\r\ntransfer-encoding: chunked\r\n\r\n"
)


async def _serve(seconds: float, ready: Connection) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    int(line.split(b":")[1])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length")
                )
                await reader.readexactly(length)
                await asyncio.sleep(seconds)
                writer.write(HEAD + BEGIN)
                for _ in range(PIECES):
                    writer.write(PIECE)
                    await asyncio.sleep(0)
                writer.write(END)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionResetError):
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=512)
    ready.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


def _run(seconds: float, ready: Connection) -> None:
    asyncio.run(_serve(seconds, ready))


@contextmanager
def serve(*, seconds: float) -> Iterator[str]:
    """The address of a running server that waits this long before each reply."""
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_run, args=(seconds, theirs), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.terminate()
        process.join()


if __name__ == "__main__":
    sys.exit("this is started by the benchmarks")
