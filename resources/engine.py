"""The chess engine: found, started, and asked about single positions. Knows nothing of games and of tables."""

import asyncio
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import chess
import chess.engine
import dagster as dg
import loky

from resources.errors import UserError
from resources.leash import leashed

DEFAULT = "stockfish"
# Debian puts games where a service's PATH often does not look.
FOLDERS = ("/usr/games", "/usr/local/games", "/usr/local/bin", "/opt/homebrew/bin")
SETTING = "KSHIFT_ENGINE"
HASH_MB = 8
"""Small, since it is emptied before every position: so an answer depends on the position and the nodes alone."""
START_S, KILL_S = 15.0, 5.0
SLOWEST_NODES_PER_S = 1_000
"""An engine that is slower than this has hung."""
_SCORE = re.compile(r"^info\b.* score (cp|mate) (-?\d+)(?: (lowerbound|upperbound))?")
MOST_FAILURES = 8
"""So many positions in a row without an answer, and it is the engine that is broken, not the positions."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the engine says of a position: centipawns or moves to mate, White's view, and the best move in UCI."""

    cp: int | None
    mate: int | None
    best: str


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Why there is none, although the engine was started anew and asked a second time."""

    reason: str


class EngineBroken(Exception):
    """The engine answers nothing any more; the text says so in a sentence, and what to do."""


class Engine(dg.ConfigurableResource["Engine"]):
    """A UCI engine: which program, how hard it thinks, how many of it run at once."""

    command: str = ""
    """Path or name; `stockfish` if empty."""
    nodes: int = 50_000
    workers: int = 1
    """Processes; 0 for one a core."""
    games: int = 1_000
    """Games to evaluate in a run at most."""
    timeout_s: float | None = None
    """How long to wait for an answer; by default what a very slow engine would take."""

    def find(self) -> Path:
        """The program's path; UserError with the remedy where there is none that can be started."""
        name = self.command or DEFAULT
        if os.sep in name:
            path = Path(name).expanduser().absolute()
            if not path.is_file():
                raise UserError(f"{SETTING}: there is no file {path}: give the path or the name of a UCI engine")
            if not os.access(path, os.X_OK):
                raise UserError(f"{SETTING}: {path} is not executable: run chmod +x on it, or name another UCI engine")
            return path
        found = shutil.which(name) or shutil.which(name, path=os.pathsep.join(FOLDERS))
        if found:
            return Path(found).absolute()
        if self.command:
            raise UserError(f"{SETTING}: there is no program {name!r} on the path: give the path of a UCI engine")
        raise UserError(
            "there is no chess engine here: install Stockfish (apt-get install stockfish), "
            f"or name a UCI engine with {SETTING}"
        )

    def identity(self) -> str:
        """Name and version as the engine gives them, from a start; UserError where the program is no UCI engine."""
        path = self.find()

        async def introduce() -> str:
            desk = await _Desk.open(path)
            try:
                return desk.name
            finally:
                await desk.close()

        try:
            return asyncio.run(introduce())
        except (chess.engine.EngineError, OSError, TimeoutError) as error:
            raise UserError(
                f"{SETTING}: {path} does not answer as a UCI engine ({_words(error)}): name another"
            ) from error

    @contextmanager
    def crew(self, nodes: int | None = None) -> "Iterator[Crew]":
        """Processes of the engine, as many as there are workers, for as long as the context lasts."""
        budget = nodes or self.nodes
        timeout_s = self.timeout_s or START_S + budget / SLOWEST_NODES_PER_S
        with Crew(self.find(), budget, self.workers or loky.cpu_count(), timeout_s) as crew:
            yield crew


@dataclass
class Crew:
    """Engine processes that share out positions among them; a broken one is replaced, and its position asked again."""

    path: Path
    nodes: int
    workers: int
    timeout_s: float
    n_asked: int = 0
    n_restarts: int = 0
    _failures: int = 0
    _desks: list["_Desk | None"] = field(default_factory=list)
    _runner: asyncio.Runner = field(default_factory=asyncio.Runner)

    def __enter__(self) -> Self:
        self._desks = [None] * self.workers
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self._runner.run(self._close() if kind is None else self._abandon())
        finally:
            self._runner.close()

    def ask(self, fens: Iterable[str]) -> dict[str, Answer | NoAnswer]:
        """What the engine says of each position. Raises EngineBroken when it says nothing several times in a row."""
        wanted = list(dict.fromkeys(fens))
        return self._runner.run(self._ask_all(wanted)) if wanted else {}

    async def _ask_all(self, fens: Sequence[str]) -> dict[str, Answer | NoAnswer]:
        answers: dict[str, Answer | NoAnswer] = {}
        rest = iter(fens)

        async def work(place: int) -> None:
            for fen in rest:
                answers[fen] = await self._ask(place, fen)
                if self._failures >= MOST_FAILURES:
                    return

        await asyncio.gather(*(work(place) for place in range(min(self.workers, len(fens)))))
        if self._failures >= MOST_FAILURES:
            reasons = [answer.reason for answer in answers.values() if isinstance(answer, NoAnswer)]
            raise EngineBroken(
                f"the engine {self.path} fails at every position, the last time so: {reasons[-1]}; "
                f"mend it, or name another UCI engine with {SETTING}"
            )
        return answers

    async def _ask(self, place: int, fen: str) -> Answer | NoAnswer:
        """One position, with a second try in a new process."""
        reason = ""
        for _ in range(2):
            try:
                answer = await self._once(place, fen)
            except (chess.engine.EngineError, OSError, TimeoutError) as error:
                reason = _words(error)
                self.n_restarts += 1
                await self._drop(place)
            else:
                self._failures = 0
                self.n_asked += 1
                return answer
        self._failures += 1
        return NoAnswer(f"the engine gave no answer twice ({reason}) at {fen}")

    async def _once(self, place: int, fen: str) -> Answer:
        desk = self._desks[place]
        if desk is None:
            desk = self._desks[place] = await _Desk.open(self.path)
        async with asyncio.timeout(self.timeout_s):
            return await desk.ask(fen, self.nodes)

    async def _drop(self, place: int) -> None:
        desk, self._desks[place] = self._desks[place], None
        if desk:
            await desk.kill()

    async def _close(self) -> None:
        await asyncio.gather(*(desk.close() for desk in self._desks if desk))

    async def _abandon(self) -> None:
        """End everything at once. An interrupt leaves the work where it was, and it would go on with new processes."""
        if working := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in working:
                task.cancel()
            await asyncio.wait(working, timeout=KILL_S)
        await asyncio.gather(*(desk.kill() for desk in self._desks if desk))


class _Protocol(chess.engine.UciProtocol):
    """Keeps the newest evaluation that is not a mere bound: a search that runs out of nodes may end with one."""

    exact: tuple[str, int] | None = None

    def line_received(self, line: str) -> None:
        """See each line before the command in hand does."""
        if (found := _SCORE.search(line)) and found[3] is None:
            self.exact = found[1], int(found[2])


class _Desk:
    """One engine process."""

    def __init__(self, transport: asyncio.SubprocessTransport, protocol: _Protocol) -> None:
        self._transport, self._protocol = transport, protocol

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Start the program and make it play by our rules."""
        # A process group of its own: Ctrl-C is for us, and we end it. If we are killed, the kernel ends it: one that
        # hangs would not see that nobody speaks to it any more.
        transport, protocol = await _Protocol.popen(leashed(path), setpgrp=True)
        desk = cls(transport, protocol)
        try:
            async with asyncio.timeout(START_S):
                await protocol.initialize()
                wanted = {"Threads": 1, "Hash": HASH_MB}
                await protocol.configure({name: value for name, value in wanted.items() if name in protocol.options})
        except BaseException:
            await desk.kill()
            raise
        return desk

    @property
    def name(self) -> str:
        """Name and version, as it said."""
        return self._protocol.id.get("name", "an engine without a name")

    async def ask(self, fen: str, nodes: int) -> Answer:
        """Search from scratch; EngineError if it dies, or says what cannot be."""
        self._protocol.exact = None
        board = chess.Board(fen)
        # Another game each time: the engine forgets what it knew.
        played = await self._protocol.play(
            board, chess.engine.Limit(nodes=nodes), game=object(), info=chess.engine.INFO_SCORE
        )
        if played.move is None or "score" not in played.info:
            raise chess.engine.EngineError("it named no move or no evaluation")
        kind, value = self._protocol.exact or _parts(played.info["score"])
        if kind == "mate" and value == 0:
            raise chess.engine.EngineError("it says mate where there are moves")
        white_s = value if board.turn == chess.WHITE else -value
        return Answer(white_s if kind == "cp" else None, white_s if kind == "mate" else None, played.move.uci())

    async def close(self) -> None:
        """Let it go, and end it if it does not."""
        try:
            async with asyncio.timeout(2):
                await self._protocol.quit()
        except (chess.engine.EngineError, OSError, TimeoutError):
            await self.kill()
        else:
            self._transport.close()

    async def kill(self) -> None:
        """End the process that this desk started."""
        with suppress(ProcessLookupError):
            self._transport.kill()
        await asyncio.wait([self._protocol.returncode], timeout=KILL_S)
        self._transport.close()


def _parts(score: chess.engine.PovScore) -> tuple[str, int]:
    mate = score.relative.mate()
    return ("cp", score.relative.score(mate_score=0)) if mate is None else ("mate", mate)


def _words(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    return " ".join(str(error).split()) or type(error).__name__
