"""The replay server: a stand-in for Lichess on loopback, for the demo and for tests that need it to misbehave.

It serves a world (the embedded sample, or what a test makes up) under the API's own paths, writes down every request
that it gets, and follows a plan of faults if there is one. `python -m serving.replay --sample data/sample` runs it
alone.
"""

import asyncio
import contextlib
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import parse_qsl, unquote, urlsplit

import typer

from serving.replay_api import Question
from serving.replay_stage import Ledger, Manners, Stage
from serving.replay_wire import Ending, Plan, Script, framed, head
from serving.replay_world import World

LOOPBACK = "127.0.0.1"
LONGEST_HEAD = 65_536
LONGEST_BODY = 1 << 20
SEND_BUFFER = 65_536
STALL_SECONDS = 3_600.0
ESTABLISHED = 1  # TCP_ESTABLISHED, first in the kernel's list of states
RESETTING = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 s: closing sends a reset


class ReplayServer:
    """Serves a world on a loopback port while the block runs: `with ReplayServer(world) as server: server.url`."""

    def __init__(
        self,
        world: World,
        plan: Plan | None = None,
        manners: Manners | None = None,
        port: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`plan` says for each request what goes wrong; port 0 takes a free one."""
        self.stage = Stage(world, plan, manners, clock)
        self._listener = socket.create_server((LOOPBACK, port))
        # Small, so that an answer counts as sent only once its client has taken most of it.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        self.url = f"http://{LOOPBACK}:{self._listener.getsockname()[1]}"
        self._loop = asyncio.new_event_loop()
        self._is_serving = threading.Event()
        self._thread = threading.Thread(target=self.serve, daemon=True)

    @property
    def ledger(self) -> Ledger:
        """All requests so far."""
        return self.stage.ledger

    @property
    def world(self) -> World:
        """What is served; may be changed between requests."""
        return self.stage.world

    def __enter__(self) -> Self:
        """Start serving in a thread."""
        self._thread.start()
        self._is_serving.wait()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, and close all connections."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)

    def serve(self) -> None:
        """Serve until stopped."""
        asyncio.set_event_loop(self._loop)
        start = asyncio.start_server(self._talk, sock=self._listener, limit=LONGEST_HEAD)
        server = self._loop.run_until_complete(start)
        self._loop.call_soon(self._is_serving.set)
        try:
            self._loop.run_forever()
        finally:
            server.close()
            tasks = asyncio.all_tasks(self._loop)
            for task in tasks:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            self._loop.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.set_write_buffer_limits(0)
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while (question := await _question(reader)) and await self._reply(question, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            writer.transport.abort()  # the client went away, or does not speak HTTP
        except asyncio.CancelledError:
            writer.transport.abort()  # the server stops; nobody waits for this task
        finally:
            writer.close()

    async def _reply(self, question: Question, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether the connection may go on."""
        connection = writer.get_extra_info("socket")
        asked, sent = self.stage.open(question, lambda: not _is_connected(connection))
        try:
            await self._send(sent, writer)
            return await _end(sent, writer)
        finally:
            self.stage.close(asked)

    async def _send(self, sent: Script, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(sent.seconds)
        if sent.ending is Ending.REFUSED:
            return
        writer.write(head(sent))
        rate = self.stage.manners.games_per_second if sent.n_games else None
        for piece in sent.pieces:
            writer.write(framed(piece, sent.framing))
            await writer.drain()
            if rate and piece.strip():
                await asyncio.sleep(1 / rate)


async def _end(sent: Script, writer: asyncio.StreamWriter) -> bool:
    match sent.ending:
        case Ending.WHOLE | Ending.CLEAN:
            if sent.framing == "chunked":
                writer.write(b"0\r\n\r\n")
            await writer.drain()
            return sent.framing != "close"
        case Ending.STALLED:
            await asyncio.sleep(STALL_SECONDS)
        case Ending.IN_CHUNK:
            writer.write(b'1000\r\n{"id":"')
        case Ending.IN_CHUNK_HEAD:
            writer.write(b"3f")
        case _:
            pass
    if not writer.transport.is_closing():
        await writer.drain()
    if sent.ending in (Ending.RESET, Ending.REFUSED):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESETTING)
        writer.transport.abort()
    return False


async def _question(reader: asyncio.StreamReader) -> Question | None:
    """The next request of a connection; None once the client has closed it."""
    try:
        text = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    first, *others = text.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in others) if name}
    length = min(int(headers.get("content-length", "0")), LONGEST_BODY)
    parts = urlsplit(target)
    params = dict(parse_qsl(parts.query, keep_blank_values=True))
    return Question(method, unquote(parts.path), params, headers, await reader.readexactly(length))


def _is_connected(connection: socket.socket) -> bool:
    """Whether the other side still listens: the kernel knows that a client died before our loop hears of it."""
    try:
        return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == ESTABLISHED
    except OSError:
        return False


def main(
    sample: Annotated[Path, typer.Option(help="Folder with games.ndjson[.zst], users.json, dumps …")],
    port: Annotated[int, typer.Option(help="Port on loopback; 0 takes a free one.")] = 0,
    games_per_second: Annotated[float | None, typer.Option(help="Throttle of exports.")] = None,
) -> None:
    """Serve a sample until interrupted; the first line on standard output is the address."""
    server = ReplayServer(World.load(sample), manners=Manners(games_per_second=games_per_second), port=port)
    sys.stdout.write(f"{server.url}\n")
    sys.stdout.flush()
    with contextlib.suppress(KeyboardInterrupt):
        server.serve()


if __name__ == "__main__":
    typer.run(main)
