"""Marts from monthly partials: the same as over all games at once, and only a month that changed is read again."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from kshift_assets.chess.marts import MARTS, Mart
from kshift_assets.chess.marts.mart import months_of
from kshift_assets.chess.marts.partial import Partial, Refreshed, Refresher, open_partial
from kshift_assets.chess.tables import GAMES
from kshift_assets.tables import polars_schema
from resources.lake import Lake
from tests.mart_tables import NOON, game, lake_of, made
from tests.marts.test_marts_all import random_game

DIRECT = Path(__file__).parent / "direct"
BORDERS = (datetime(2024, 2, 1, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC), datetime(2024, 5, 1, tzinfo=UTC))

each_direct = pytest.mark.parametrize(
    "mart", [mart for mart in MARTS if (DIRECT / f"{mart.name}.sql").exists()], ids=lambda mart: mart.name
)


def games_about_borders(random: Random, number: int) -> list[dict[str, Any]]:
    """Games within hours of the ends of months, so that sittings go on over them, some for many hours."""
    games = []
    for count in range(number):
        one = random_game(random)
        start = random.choice(BORDERS) + timedelta(minutes=random.randrange(-300, 300))
        shift = start - one["tm_created"]
        if one["tm_last_move"]:
            one["tm_last_move"] += shift + timedelta(minutes=random.choice([0, 0, 0, 0, 60, 900]))
        if one["ind_berserk_white"] or one["ind_berserk_black"]:  # nobody berserks elsewhere
            one["id_tournament"] = "arena"
        one |= {"id_game": f"g{count:03}", "tm_created": start, "dt_game": start.date(), "dt_month": f"{start:%Y-%m}"}
        games.append(one)
    return games


@each_direct
@pytest.mark.parametrize("number", [40, 300, 400])
def test_partials_add_up_to_what_all_games_give_at_once(mart: Mart, number: int):
    games = games_about_borders(Random(number), number)
    profiles = [
        {"id_user": "p1", "n_games": 80, "n_games_blitz": 30, "tm_facts": BORDERS[1]},
        {"id_user": "p2", "n_games": 9, "n_games_bullet": 3, "tm_facts": BORDERS[0] + timedelta(hours=1)},
    ]
    lake = lake_of(games, ["p1", "p2"], profiles)
    if mart.prepare:
        made(mart, lake)  # adds what its SQL, and the direct one, need
    combined = made(mart, lake)
    # The bare SQL over all games, as it stood before there were partials.
    direct = (
        lake.sql((DIRECT / f"{mart.name}.sql").read_text()).pl().select(combined.columns).cast(dict(combined.schema))
    )
    assert combined.height or number == 40
    assert_frame_equal(direct, combined, check_row_order=False, rel_tol=1e-9, abs_tol=1e-9)


WHITES = Partial(
    name="whites",
    sql="SELECT id_user_white AS id_user, count(*) AS n FROM chess.games GROUP BY ALL",
    reads=("chess.games",),
)


class Months:
    """A lake of games, month by month, and one partial of them."""

    def __init__(self, folder: Path) -> None:
        self.lake = Lake(uri=str(folder))

    def put(self, month: int, *whites: str) -> None:
        start = NOON.replace(month=month)
        schema = polars_schema(GAMES.model)
        rows = [game(white, "zoe", at=start) | {"id_game": f"{month:02}{white}"} for white in whites]
        frame = pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema=schema)
        self.lake.overwrite(GAMES.full_name, lambda: [frame] if rows else [], schema, f"{start:%Y-%m}")

    def refresh(self, partial: Partial = WHITES) -> tuple[Refreshed, list[tuple[Any, ...]]]:
        refreshed = Refresher(self.lake, [GAMES], duckdb.connect).refresh(partial)
        with duckdb.connect() as connection:
            open_partial(connection, partial, self.lake)
            return refreshed, connection.execute(f"FROM {partial.view} ORDER BY ALL").fetchall()


@pytest.fixture
def months(tmp_path: Path) -> Months:
    return Months(tmp_path)


def test_only_the_month_that_changed_is_computed_again(months: Months):
    for month in (1, 2, 3):
        months.put(month, "ann", "bob")
    refreshed, rows = months.refresh()
    assert months_of([refreshed]) == "3 of 3"
    assert len(rows) == 6
    assert months_of([months.refresh()[0]]) == "0 of 3"
    months.put(2, "cyd")
    refreshed, rows = months.refresh()
    assert list(refreshed.recomputed) == ["2024-02"]
    assert rows == [(name, 1, f"2024-0{m}") for name, m in [("ann", 1), ("ann", 3), ("bob", 1), ("bob", 3), ("cyd", 2)]]


def test_a_month_that_vanished_is_removed_and_may_come_back(months: Months):
    months.put(1, "ann")
    months.put(2, "bob")
    months.refresh()
    months.put(2)
    refreshed, rows = months.refresh()
    assert (list(refreshed.months), rows) == (["2024-01"], [("ann", 1, "2024-01")])
    months.put(2, "bob")
    assert list(months.refresh()[0].recomputed) == ["2024-02"]


def test_other_sql_is_another_partial(months: Months):
    months.put(1, "ann")
    months.refresh()
    other = Partial(name="whites", sql="SELECT 'x' AS val_other FROM chess.games", reads=("chess.games",))
    assert months.refresh(other)[1] == [("x", "2024-01")]
    assert months_of([months.refresh()[0]]) == "0 of 1"


def test_a_partial_of_another_is_made_from_its_month_and_with_it(months: Months):
    counted = Partial(
        name="counted",
        sql="SELECT count(*) AS n, sum(n)::BIGINT AS n_games FROM partials.whites",
        reads=("chess.games",),
        base=WHITES,
    )
    months.put(1, "ann", "bob")
    months.put(2, "ann")
    assert months.refresh(counted)[1] == [(1, 1, "2024-02"), (2, 2, "2024-01")]
    months.put(2, "ann", "bob", "cyd")
    refreshed, rows = months.refresh(counted)
    assert (list(refreshed.recomputed), rows) == (["2024-02"], [(2, 2, "2024-01"), (3, 3, "2024-02")])
    assert months_of([months.refresh()[0]]) == "0 of 2"


def test_without_games_there_are_columns_but_no_rows(months: Months):
    refreshed, rows = months.refresh()
    assert (months_of([refreshed]), rows) == ("0 of 0", [])
