"""Trials with a real server on a socket, real processes and a lake on the disk; the oracle is the server's ledger."""

import contextlib
import copy
import multiprocessing
import sys
import threading
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random

import httpx
import orjson
import pytest
from clocks import HandClock
from faults.books import Books, RecordedWorld, Tally
from faults.processes import STEPS, Job, NoLock, ingest
from faults.trial import TABLE
from power_cut import Disk

from kshift_assets.chess import game_store
from kshift_assets.chess.game_store import GAMES_SCHEMA
from kshift_assets.chess.ingestion import CURSOR, pull_players
from kshift_assets.chess.pending import pending
from resources import durability, gate
from resources.contracts import read_game
from resources.lake import Lake
from resources.names import month_of
from serving.replay import ReplayServer
from serving.replay_api import Question, error
from serving.replay_stage import Ledger, Manners
from serving.replay_wire import Ending, Fault
from worlds import DAY, MARCH, analysed, game, hasty, lichess

PLAYERS = ("alice_a", "carol", "dave")
QUIET_SECONDS = 1.0
PATIENCE_SECONDS = 120.0

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["faults.processes"])


@dataclass
class Worker:
    """A process at work, and what it says."""

    job: Job
    process: "multiprocessing.process.BaseProcess"
    pipe: Connection
    stored: set[str] = field(default_factory=set)
    states: list[str] | None = None

    @classmethod
    def start(cls, job: Job) -> "Worker":
        """A new process for the job."""
        ours, theirs = _context.Pipe(duplex=False)
        process = _context.Process(target=ingest, args=(job, theirs), daemon=True)
        process.start()
        theirs.close()
        return cls(job, process, ours)

    def wait_for_a_page(self) -> None:
        """Until it has stored one, or has ended."""
        if self.pipe.poll(PATIENCE_SECONDS):
            self._hear()

    def finish(self) -> None:
        """Hear it out."""
        while self.pipe.poll(PATIENCE_SECONDS) and self._hear():
            pass
        self.process.join(PATIENCE_SECONDS)

    def kill(self) -> None:
        """`kill -9`, and hear what it still said."""
        self.process.kill()
        self.finish()

    def _hear(self) -> bool:
        try:
            said = self.pipe.recv()
        except EOFError:
            return False
        if isinstance(said, list):
            self.states = said
        else:
            self.stored |= said
        return True

    @property
    def is_killed(self) -> bool:
        """Whether a kill ended it, and not itself."""
        return self.process.exitcode == -9

    @property
    def is_whole(self) -> bool:
        """Whether it came to its end with all players done."""
        return self.process.exitcode == 0 and self.states is not None and set(self.states) == {"done"}


@dataclass
class Outcome:
    """What a trial of processes showed."""

    tally: Tally
    n_kills: int = 0


def some_world(chance: Random, n_games: int = 30) -> RecordedWorld:
    """Three players, who play each other too, in two months; a few games are not over."""
    made = RecordedWorld()
    for player in PLAYERS:
        made.users[player] = {"id": player, "username": player.title()}
    for number in range(n_games):
        white = chance.choice(PLAYERS)
        black = chance.choice([name for name in (*PLAYERS, "eve") if name != white])
        made.add(game(number, MARCH + 20 * DAY + number * DAY // 2, white=white, black=black))
    running = game(n_games, MARCH + 25 * DAY, white=PLAYERS[0], status="started")
    made.add(running)
    return made


def killed(seed: str, folder: Path, n_kills: int = 4) -> Outcome:
    """A process is killed again and again, at a step or at any moment; the last one is left alone. H8."""
    chance = Random(f"kill {seed}")  # seeded, so that it can be rerun
    made = some_world(chance)
    books, done = Books(made), 0
    acknowledged: set[str] = set()
    with ReplayServer(made, manners=Manners(games_per_second=400, is_one_at_a_time=True)) as server:
        job = Job(server.url, str(folder / "lake"), str(folder / "state"), PLAYERS, page_games=2)
        tally = Tally()
        for _ in range(n_kills):
            if chance.random() < 0.7:
                step = chance.choice(STEPS)
                worker = Worker.start(replace(job, step=step, countdown=chance.randint(1, 5)))
                worker.finish()
            else:
                worker = Worker.start(job)
                worker.wait_for_a_page()
                time.sleep(chance.uniform(0, 0.1))
                worker.kill()
            done += worker.is_killed
            acknowledged |= worker.stored
            tally += _audit(books, Lake(uri=job.lake), acknowledged)
        made.add(made.games[game(30, 0)["id"]] | {"status": "draw"})
        last = Worker.start(job)
        last.finish()
        tally += Tally(unfinished=int(not last.is_whole))
        _promise_all(books)
        tally += _audit(books, Lake(uri=job.lake), acknowledged) + _promises(books, job) + _manners(server.ledger)
    return Outcome(tally, done)


def together(seed: str, folder: Path) -> Outcome:
    """Three ingests and the backfill of a month, started together; in half of the trials one is killed. H10."""
    chance = Random(f"together {seed}")  # seeded, so that it can be rerun
    made = some_world(chance)
    books = Books(made)
    manners = Manners(games_per_second=300, quiet_seconds=QUIET_SECONDS)
    with ReplayServer(made, manners=manners) as server:
        job = Job(server.url, str(folder / "lake"), str(folder / "state"), PLAYERS, chance.choice((2, 5, 10)))
        month = month_of(MARCH + 20 * DAY)
        jobs = [job, replace(job, players=PLAYERS[::-1]), job, replace(job, month=month)]
        workers = [Worker.start(one) for one in jobs]
        n_kills = 0
        if chance.random() < 0.5:
            workers[2].wait_for_a_page()
            workers[2].kill()
            n_kills = int(workers[2].is_killed)
        for worker in workers:
            worker.finish()
        tally = Tally(unfinished=sum(not (one.is_whole or one.is_killed) for one in workers))
        last = Worker.start(job)
        last.finish()
        _promise_all(books)
        stored = set[str]().union(*(one.stored for one in workers))
        tally += Tally(unfinished=int(not last.is_whole))
        tally += _audit(books, Lake(uri=job.lake), stored) + _promises(books, job) + _manners(server.ledger)
    return Outcome(tally, n_kills)


def wrong_clocks(seed: str, folder: Path) -> Outcome:
    """Processes whose wall clocks differ by an hour share one silence, and the newest version stays the newest. H11."""
    chance = Random(f"clocks {seed}")  # seeded, so that it can be rerun
    made = some_world(chance, n_games=12)
    books = Books(made)

    def refuse(number: int, _: Question) -> Fault | None:
        return Fault(change=lambda _: error(429, "slow down"), name="429") if number in (1, 4) else None

    with ReplayServer(made, refuse, Manners(quiet_seconds=QUIET_SECONDS)) as server:
        job = Job(server.url, str(folder / "lake"), str(folder / "state"), PLAYERS, 5, quiet_seconds=QUIET_SECONDS)
        offsets = chance.sample((-3600.0, 0.0, 3600.0), 3)
        workers = [Worker.start(replace(job, wall_offset=offset)) for offset in offsets[:2]]
        for worker in workers:
            worker.finish()
        for document in copy.deepcopy(list(made.games.values())[:12]):
            made.add(analysed(document))
        last = Worker.start(replace(job, wall_offset=-3600.0))
        last.finish()
        tally = Tally(unfinished=sum(not one.is_whole for one in (*workers, last)))
        _promise_all(books)
        tally += _audit(books, Lake(uri=job.lake), set()) + _promises(books, job) + _manners(server.ledger)
    return Outcome(tally)


def long_line(folder: Path) -> Outcome:
    """A line of 50 MB among the games. H5."""
    made = some_world(Random(0), n_games=6)  # seeded, so that it can be rerun
    books, giant = Books(made), b'{"id":"' + b"x" * 50_000_000 + b'"}\n'

    def insert(number: int, _: Question) -> Fault | None:
        change = lambda answer: replace(answer, pieces=(*list(answer.pieces)[:1], giant, *list(answer.pieces)[1:]))  # noqa: E731  # short
        return Fault(change=change, name="50 MB") if number == 0 else None

    with ReplayServer(made, insert) as server:
        store, api = (
            Lake(uri=str(folder / "lake")),
            lichess(server.url, folder / "state", limits=hasty(read_seconds=30.0)),
        )
        harvest = pull_players(store, api, PLAYERS)
        _promise_all(books)
        tally = Tally(unfinished=len(harvest.failed)) + _audit(books, store, set())
        tally += books.audit_promises(store.scan(TABLE, GAMES_SCHEMA).collect()) + _manners(server.ledger)
    return Outcome(tally)


def power_cut(folder: Path, *, syncs: bool = True) -> Outcome:
    """The power fails when an ingest has said that it is done. What was not synced is gone."""
    made = some_world(Random(1), n_games=8)  # seeded, so that it can be rerun
    books, root = Books(made), folder / "disk"
    root.mkdir()
    with pytest.MonkeyPatch.context() as patch, ReplayServer(made) as server:
        disk = Disk(root, patch)
        if not syncs:
            _forget_to_sync(patch)
        api = lichess(server.url, folder / "state", limits=hasty())
        pull_players(Lake(uri=str(root / "lake")), api, PLAYERS, 3)
        _promise_all(books)
        left = Lake(uri=str(disk.after_power_cut(folder / "left") / "lake"))
        try:
            tally = books.audit_promises(left.scan(TABLE, GAMES_SCHEMA).collect())
        except OSError:  # files that the log names are not there
            tally = Tally(lost=len(books.promised))
        except Exception as broken:  # noqa: BLE001  # delta-rs and Polars have many ways to say that a table is torn
            tally = Tally(lost=len(books.promised)) if str(broken) else Tally()
    return Outcome(tally)


def asked_at_once(folder: Path, *, is_gated: bool = True) -> Outcome:
    """Three clients on one machine ask in the same moment. H10."""
    made = some_world(Random(3))  # seeded, so that it can be rerun
    with (
        pytest.MonkeyPatch.context() as patch,
        ReplayServer(made, manners=Manners(games_per_second=100)) as server,
    ):
        if not is_gated:
            patch.setattr(gate, "FileLock", NoLock)

        start = threading.Barrier(len(PLAYERS))

        def ask(player: str) -> None:
            start.wait()
            for _ in range(20):
                with contextlib.suppress(OSError):  # without the lock they take each other's files away
                    lichess(server.url, folder / "state", limits=hasty()).games_of(player)
                    return

        threads = [threading.Thread(target=ask, args=(player,)) for player in PLAYERS]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return Outcome(_manners(server.ledger))


def added_at_once(folder: Path, *, is_locked: bool = True) -> Outcome:
    """Two who follow different players store the same page in the same moment. H10."""
    made = some_world(Random(2), n_games=4)  # seeded, so that it can be rerun
    store = Lake(uri=str(folder / "lake"))
    api = lichess("https://lichess.example", folder / "state")
    games = [read_game(versions[-1], "a test") for versions in made.versions.values()]
    known = game_store.GameStore._known

    def slowly_known(self: game_store.GameStore, found: object) -> object:
        there = known(self, found)
        time.sleep(0.2)
        return there

    def add() -> None:
        game_store.player_store(store, api).add(games, PLAYERS[0], ("f", datetime.now(UTC)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(game_store.GameStore, "_known", slowly_known)
        if not is_locked:
            patch.setattr(game_store, "FileLock", NoLock)
        threads = [threading.Thread(target=add) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    rows = store.scan(TABLE, GAMES_SCHEMA).collect()
    return Outcome(
        Tally(duplicated=rows.height - rows["id_game"].n_unique(), unfinished=len(games) - rows["id_game"].n_unique())
    )


def _forget_to_sync(patch: pytest.MonkeyPatch) -> None:
    sync = durability.sync
    for name, module in list(sys.modules.items()):
        if name.startswith("resources.") and getattr(module, "sync", None) is sync:
            patch.setattr(module, "sync", lambda _: None)


def refused_then_there(seed: str, folder: Path) -> Outcome:
    """Nobody listens on the port; later somebody does. H2."""
    made = some_world(Random(f"refused {seed}"), n_games=8)  # seeded, so that it can be rerun
    books, store = Books(made), Lake(uri=str(folder / "lake"))
    with ReplayServer(made) as first:
        port = int(httpx.URL(first.url).port or 0)
        url = first.url
    first._listener.close()
    clock = HandClock()
    before = pull_players(store, lichess(url, folder / "state", clock=clock, limits=hasty()), PLAYERS)
    tally = Tally(unfinished=int(not before.failed))
    clock.pass_time(3_600)
    with ReplayServer(made, port=port) as server:
        after = pull_players(store, lichess(url, folder / "state", clock=clock, limits=hasty()), PLAYERS)
        _promise_all(books)
        tally += Tally(unfinished=len(after.failed)) + _audit(books, store, set()) + _manners(server.ledger)
        tally += books.audit_promises(store.scan(TABLE, GAMES_SCHEMA).collect())
    return Outcome(tally)


def stalled(seed: str, folder: Path) -> Outcome:
    """A stalled answer on the machine's own clock. H3."""
    chance = Random(f"stalled {seed}")  # seeded, so that it can be rerun
    made = some_world(chance, n_games=10)
    size = len(orjson.dumps(made.games[game(0, 0)["id"]]))
    books, store = Books(made), Lake(uri=str(folder / "lake"))
    faults = {0, 2, 3}

    def stall(number: int, _: Question) -> Fault | None:
        return Fault(Ending.STALLED, chance.randint(0, 4 * size), name="stalled") if number in faults else None

    with ReplayServer(made, stall) as server:
        api = lichess(server.url, folder / "state", limits=hasty(read_seconds=0.3, settle_seconds=0.05))
        harvest = pull_players(store, api, PLAYERS, 5)
        _promise_all(books)
        tally = Tally(unfinished=len(harvest.failed)) + _audit(books, store, set()) + _manners(server.ledger)
        tally += books.audit_promises(store.scan(TABLE, GAMES_SCHEMA).collect())
    return Outcome(tally)


def _promise_all(books: Books) -> None:
    for player in PLAYERS:
        books.promise(books.world.finished(player))


def _audit(books: Books, store: Lake, acknowledged: set[str]) -> Tally:
    stored = store.scan(TABLE, GAMES_SCHEMA).collect()
    cursors = {player: store.cursor(TABLE, CURSOR.format(player)) for player in PLAYERS}
    tally = books.audit(stored, cursors, set(pending(store)["id_game"]))
    return tally + Tally(lost=len(acknowledged - set(stored["id_game"])))


def _promises(books: Books, job: Job) -> Tally:
    return books.audit_promises(Lake(uri=job.lake).scan(TABLE, GAMES_SCHEMA).collect())


def _manners(ledger: Ledger) -> Tally:
    return Tally(together=len(ledger.together), early=len(ledger.early))
