"""The web UI's backfill against `kshift run`, and a changed month that the daemon alone carries to the snapshot.

Minutes, not seconds: the daemon waits 30 s before a backfill and between two looks at what changed.
Run by `make drills`.
"""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from drills.web import Web, kshift, running, until

from kshift_assets.definitions import consumer_tables, find_plugins
from kshift_assets.reporting import Table
from kshift_assets.tables import polars_schema
from lakehouse import pgn
from resources.lake import Lake

MONTHS = ["2024-01", "2024-02", "2024-03"]
BACKFILL_SECONDS, AUTOMATION_SECONDS = 600, 900
# When a row came into this lakehouse: the one thing that two lakehouses do not share.
OWN_TIMES = {"tm_ingested", "tm_game_ingested"}


@pytest.fixture(scope="module")
def dumps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three monthly dumps: good games, and in each one of a player whose name cannot be."""
    folder = tmp_path_factory.mktemp("dumps")
    for number, month in enumerate(MONTHS):
        write_dump(folder, month, games=20 + number)
    return folder


def write_dump(folder: Path, month: str, games: int) -> None:
    day = f"{month.replace('-', '.')}.05"
    texts = [pgn(f"{month[-2:]}{number:06}", day, white=f"Amber{number % 7}") for number in range(games)]
    texts.append(pgn(f"{month[-2:]}refuse", day, white="No Name"))
    (folder / f"lichess_db_standard_rated_{month}.pgn").write_text("".join(texts))


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, dumps: Path) -> dict[str, str]:
    """The lakehouse of the web UI."""
    return {"KSHIFT_HOME": str(tmp_path_factory.mktemp("web")), "KSHIFT_DUMP_DIR": str(dumps)}


@pytest.fixture(scope="module")
def web(settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with running(settings, tmp_path_factory.mktemp("log") / "up.log") as started:
        yield started


def monthly_tables() -> list[Table]:
    """What is split by month and comes from dumps as a matter of course: no engine is asked."""
    tables = consumer_tables(find_plugins())
    return [
        table
        for table in tables
        if table.full_name in {"lichess.dump_games", "chess.games", "chess.rejected_games"}
        or (table.schema == "analytics" and not table.optional)
    ]


def rows(home: str, table: Table) -> pl.DataFrame:
    """A table's rows in one order, without the times of this lakehouse."""
    frame = Lake(uri=f"{home}/lake").scan(table.full_name, polars_schema(table.model)).collect()
    kept = frame.drop(OWN_TIMES & set(frame.columns)).with_columns(
        pl.col(pl.String).str.replace_all(r'"tm_ingested":\s*"[^"]*"', "")  # a rejected row is kept as JSON
    )
    texts = kept.select(pl.struct(pl.all()).map_elements(str, pl.String).alias("text"))["text"]
    return kept[texts.arg_sort()]


def snapshot(settings: dict[str, str]) -> dict[str, int]:
    """Table → rows of what is published now."""
    path = Path(settings["KSHIFT_HOME"]) / "published" / "latest.json"
    tables = json.loads(path.read_bytes())["tables"] if path.exists() else {}
    return {name: table["rows"] for name, table in tables.items()}


def test_the_web_ui_has_the_graph_with_its_sensors_on_and_its_schedule_off(web: Web) -> None:
    states = until("the code location", 120, web.instigators)
    assert states["carry_changes_through"] == "RUNNING"
    assert states["freshness_alerts"] == "RUNNING"
    assert states["ingest_player_games_hourly"] == "STOPPED"


def test_nobody_else_reaches_the_web_ui(web: Web) -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", web.port), timeout=5)


@pytest.mark.timeout(2 * BACKFILL_SECONDS)
def test_a_backfill_of_the_web_ui_makes_the_same_rows_as_the_command_line(
    web: Web, settings: dict[str, str], tmp_path: Path
) -> None:
    tables = monthly_tables()
    assets = [table.key.to_user_string() for table in tables]
    backfill = web.launch_backfill(assets, MONTHS)
    until(
        "the end of the backfill",
        BACKFILL_SECONDS,
        lambda: web.backfill(backfill)["status"] not in {"REQUESTED", "COMPLETED"},
    )
    ended = web.backfill(backfill)
    assert ended["status"] == "COMPLETED_SUCCESS", ended
    assert {run["runStatus"] for run in ended["runs"]} == {"SUCCESS"}

    other = settings | {"KSHIFT_HOME": str(tmp_path / "typed")}
    kshift(
        "run", " or ".join(f'key:"{asset}"' for asset in assets), "--from", "2024-01", "--to", "2024-03", settings=other
    )
    for table in tables:
        launched, typed = rows(settings["KSHIFT_HOME"], table), rows(other["KSHIFT_HOME"], table)
        assert launched.height == {"chess.rejected_games": 3}.get(table.full_name, launched.height) > 0
        assert launched.equals(typed), table.full_name


@pytest.mark.timeout(2 * AUTOMATION_SECONDS)
@pytest.mark.usefixtures("web")
def test_the_daemon_carries_a_changed_month_to_the_published_snapshot(settings: dict[str, str], dumps: Path) -> None:
    before = until("a first snapshot, made by nobody's hand", AUTOMATION_SECONDS, lambda: snapshot(settings))
    games = before["chess.games"]
    assert games == 20 + 21 + 22
    write_dump(dumps, "2024-02", games=50)
    kshift("run", "lichess/dump_games", "--partition", "2024-02", settings=settings)
    until(
        "a snapshot with the new games",
        AUTOMATION_SECONDS,
        lambda: snapshot(settings)["chess.games"] == games + 29,
    )
    after = snapshot(settings)
    assert {after[table.full_name] for table in monthly_tables() if table.schema == "analytics"} == {games + 29}
    assert after["lichess.dump_games"] == before["lichess.dump_games"] + 29
