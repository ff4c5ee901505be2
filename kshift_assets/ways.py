"""The whole ways from a source to the published snapshot, as the command line goes them."""

from collections.abc import Sequence
from datetime import timedelta

from kshift_assets.chess.tables import (
    DUMP_GAMES,
    PLAYER_GAMES,
    PLAYERS_FRONTIER,
    RATING_HISTORIES,
    TV_GAMES,
    USER_PROFILES,
)
from kshift_assets.published import SNAPSHOT_KEY
from kshift_assets.runs import Batch, Listener, Outcome, Runner

ABOUT_PLAYERS = [USER_PROFILES.key, RATING_HISTORIES.key]
SOURCES = {PLAYER_GAMES.key, TV_GAMES.key, DUMP_GAMES.key, *ABOUT_PLAYERS}


def ingest(runner: Runner, max_age: timedelta, listen: Listener) -> list[Outcome]:
    """Fetch what is new for the tracked players, and carry it through to the published snapshot."""
    outcomes = runner.run_all(runner.plan([PLAYER_GAMES.key], None, {PLAYER_GAMES.key}), listen)
    return outcomes + carry_on(runner, max_age, listen)


def carry_on(runner: Runner, max_age: timedelta, listen: Listener) -> list[Outcome]:
    """Make anew what is behind its sources; in between, ask about players who lack a profile or whose copy is old.

    `max_age`: how old what promises freshness may get.
    """
    # The marts say who plays most; the profiles of those whose games just came are published together with the games.
    outcomes = runner.carry_on({*SOURCES, SNAPSHOT_KEY}, max_age, listen)
    outcomes += runner.run_all(runner.plan(ABOUT_PLAYERS, None), listen)
    return outcomes + runner.carry_on(SOURCES, max_age, listen)


def crawl(runner: Runner, max_age: timedelta, budget: tuple[int, int], listen: Listener) -> list[Outcome]:
    """Fetch players who are due, opponents included, and carry it through; `budget`: players, requests at most."""
    fetch = Batch((PLAYER_GAMES.key,), None)
    players, requests = budget
    listen(fetch, None)
    fetched = runner.run(fetch, {"player_games": {"crawl_players": players, "crawl_requests": requests}})
    listen(fetch, fetched)
    outcomes = [fetched]
    if not fetched.rows:  # nothing else makes it anew, yet it tells who was fetched
        outcomes += runner.run_all([Batch((PLAYERS_FRONTIER.key,), None)], listen)
    return outcomes + carry_on(runner, max_age, listen)


def demo(runner: Runner, max_age: timedelta, months: Sequence[str], listen: Listener) -> list[Outcome]:
    """Every source once: dumps of these months, Lichess TV, the tracked players; then all that is made from them."""
    outcomes = runner.run_all(runner.plan([DUMP_GAMES.key], months), listen)
    outcomes += runner.run_all(runner.plan([TV_GAMES.key], None, {TV_GAMES.key}), listen)
    return outcomes + ingest(runner, max_age, listen)
