"""Late finishers: games that were not over when they were seen are asked for by id until they are, then stored.

The order of the steps is what keeps them from being lost or doubled: a game leaves lichess.pending_games only after
its document is stored, and a document that is stored already is not asked for again.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from kshift_assets.chess import pending
from kshift_assets.chess.game_store import GAMES_SCHEMA, GameStore, player_store, store_fetches
from kshift_assets.chess.pending import Unfinished
from kshift_assets.chess.tables import DUMP_GAMES, PLAYER_GAMES
from kshift_assets.tables import polars_schema
from resources.contracts import RUNNING, ContractBroken, GameDocument, SourceComplains
from resources.errors import UserError
from resources.exchange import Fetch
from resources.lake import Lake
from resources.lichess import MOST_IDS, Lichess
from resources.names import month_of, user_id
from resources.source_errors import SourceError

DUMP_SCHEMA = polars_schema(DUMP_GAMES.model)


@dataclass
class Late:
    """What asking for unfinished games brought."""

    months: Counter[str] = field(default_factory=Counter)
    """Month → documents stored; only months that changed."""
    n_asked: int = 0
    """Games that were due."""
    n_requests: int = 0
    problem: str | None = None
    """Why not all that were due were asked for; None if they were."""


def pull_pending(
    lake: Lake, lichess: Lichess, now: datetime, most: int = 3_000, tell: Callable[[str], None] = lambda _: None
) -> Late:
    """Ask for the unfinished games that are due, at most so many, 300 a request; store those that are over.

    A source's failure is not raised: what was not asked for stays due.
    """
    late = Late()
    rows = pending.due(lake, now, most)
    stored = _stored_as_finished(lake, rows)
    pending.settle(lake, stored, (), (), now)
    users = dict(rows.filter(~pl.col("id_game").is_in(list(stored))).select("id_game", "id_user").iter_rows())
    fetches: list[Fetch] = []
    store = player_store(lake, lichess)
    try:
        with lichess.telling(fetches.append):
            for first in range(0, len(users), MOST_IDS):
                batch = dict(list(users.items())[first : first + MOST_IDS])
                late.n_asked += len(batch)
                late.months.update(_pull_batch(store, lichess, batch, now))
    except SourceError as error:
        late.problem = str(error)
    finally:
        late.n_requests = len(fetches)
        store_fetches(lake, fetches)
    if late.months:
        tell(f"{late.months.total()} games that finished late")
    return late


def _pull_batch(store: GameStore, lichess: Lichess, users: dict[str, str], now: datetime) -> Counter[str]:
    """Up to 300 games, with the player of each: asked for again as long as an answer brings some that were missing."""
    months: Counter[str] = Counter()
    left, over, running = set(users), set[str](), set[str]()
    while left:
        try:
            page = lichess.games_by_ids(sorted(left))
        except (ContractBroken, SourceComplains):  # told and kept by the client; the others are not to wait for these
            break
        for user, games in _by_user(page.games, users).items():
            finished = [game for game in games if game.is_finished]
            added = store.add(finished, user, (page.id_fetch, page.tm_fetched))
            months.update(month_of(game.created_ms) for game in added)
            over |= {game.id_game for game in finished}
            running |= {game.id_game for game in games} - over
        found = {game.id_game for game in page.games} & left
        if not found:
            break
        left -= found
    pending.settle(store.lake, over, running - over, left, now)
    return months


def _by_user(games: Iterable[GameDocument], users: dict[str, str]) -> dict[str, list[GameDocument]]:
    found: dict[str, list[GameDocument]] = defaultdict(list)
    for game in games:
        found[users[game.id_game]].append(game)
    return found


def _stored_as_finished(lake: Lake, rows: pl.DataFrame) -> set[str]:
    """Of these games, those of which a finished version is stored: an export was quicker."""
    months = rows["tm_created"].dt.strftime("%Y-%m").unique().to_list()
    versions = (
        lake.scan(PLAYER_GAMES.full_name, GAMES_SCHEMA, months)
        .filter(pl.col("id_game").is_in(rows["id_game"].to_list()))
        .select("id_game", val_status=pl.col("val_document").str.json_path_match("$.status"))
        .filter(~pl.col("val_status").is_in(sorted(RUNNING)))
        .collect()
    )
    return set(versions["id_game"])


def note_unfinished_of_dump(lake: Lake, month: str, now: datetime, users: Sequence[str] | None) -> int:
    """Keep the games that a month's dump has without a result, to ask for them by id; how many were new.

    `users`: only games of these players; None for everybody's.
    """
    found = (
        lake.scan(DUMP_GAMES.full_name, DUMP_SCHEMA, month)
        .filter(pl.col("val_result") == "*", pl.col("id_game").is_not_null(), pl.col("val_error").is_null())
        .select(
            "id_game",
            "val_white",
            "val_black",
            tm_created=pl.concat_str("val_utc_date", pl.lit(" "), "val_utc_time").str.to_datetime(
                "%Y.%m.%d %H:%M:%S", time_zone="UTC", strict=False
            ),
        )
        .collect()
    )
    start = datetime.fromisoformat(f"{month}-01T00:00:00+00:00")
    seen = []
    for id_game, white, black, created in found.iter_rows():
        sides = [name for name in map(_user_or_none, (white, black)) if name and (users is None or name in users)]
        if sides:
            seen.append(Unfinished(id_game, sides[0], created or start))
    return pending.note(lake, seen, now, first_due=now)


def _user_or_none(name: str | None) -> str | None:
    try:
        return user_id(name or "")
    except UserError:  # the computer, or nobody
        return None
