"""Retention: what the rules name goes, on request, and neither a game nor a snapshot that is kept goes with it."""

import json
import os
import random
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest
from game_rows import CREATED_MS, document, player_rows

import kshift_assets.chess.cleaned
from commands import Kshift
from kshift_assets.chess.dump_units import DUMP_UNITS, UNITS_SCHEMA
from kshift_assets.chess.tables import DUMP_GAMES, GAMES, PLAYER_GAMES, REJECTED_GAMES
from kshift_assets.ops.maintenance import partials, upkeep
from kshift_assets.ops.retention import RETENTION_KEY, expired, remove
from kshift_assets.runs import Batch
from kshift_assets.tables import polars_schema
from lakehouse import Lakehouse, pgn
from resources.errors import UserError
from resources.lake import Lake
from resources.retention import Retention, Rules
from resources.settings import load_settings
from worlds import game_id

MONTH = "2015-01"
FIRST = datetime(2016, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = 86_400
ALL = "lichess.player_games=30,lichess.dump_games=30,lichess.tv_games=30"


def rules(house: Lakehouse, **given: object) -> Rules:
    return Rules.of(load_settings(home=house.settings.home, **given))


def retain(house: Lakehouse, **given: object) -> list[str]:
    """Apply the rules; what went, as `rule what`."""
    found = expired(house.lake, house.snapshots, rules(house, **given), NOW)
    remove(found, house.snapshots)
    return [f"{one.rule} {one.what}" for one in found]


def rows(house: Lakehouse, table=GAMES) -> pl.DataFrame:
    return house.lake.scan(table.full_name, polars_schema(table.model), MONTH).collect().sort("id_game", "dt_month")


def add(house: Lakehouse, documents: list[dict], ingested: datetime = FIRST) -> None:
    frame = player_rows(documents, ingested)
    house.lake.append(PLAYER_GAMES.full_name, frame, polars_schema(PLAYER_GAMES.model))


def clean(house: Lakehouse) -> None:
    (outcome,) = house.make("chess/games", MONTH)
    assert outcome.succeeded, outcome.problems


def game(number: int, **more: object) -> dict:
    return document(id=game_id(number), createdAt=CREATED_MS + number, lastMoveAt=CREATED_MS + 60_000 + number, **more)


@pytest.fixture
def house(lakehouse: Lakehouse) -> Lakehouse:
    """A month with games from documents and from a dump, of which some are in both, some rejected, some changed."""
    lakehouse.write_dump(MONTH, *(pgn(game_id(number), "2015.01.01") for number in range(5, 15)))
    assert all(one.succeeded for one in lakehouse.make("lichess/dump_games", MONTH))
    add(lakehouse, [game(number) for number in range(10)] + [game(20, moves=None)])
    add(lakehouse, [game(number, moves="e4 e5 Nf3 Nc6") for number in range(3)], FIRST + timedelta(days=1))
    add(lakehouse, [game(3, moves=None)], FIRST + timedelta(days=2))  # rejected: the older version counts
    clean(lakehouse)
    assert rows(lakehouse).height == 15
    assert rows(lakehouse, REJECTED_GAMES).height == 2
    return lakehouse


class TestDocuments:
    @pytest.mark.parametrize("tables", [ALL, "lichess.player_games=30", "lichess.dump_games=30"])
    def test_cleaning_anew_without_the_documents_gives_the_same_games(self, house: Lakehouse, tables: str) -> None:
        before = rows(house), rows(house, REJECTED_GAMES)
        assert retain(house, keep_documents=tables) == [f"documents {one} {MONTH}" for one in named(tables)]
        for _ in range(2):
            clean(house)
            assert rows(house).equals(before[0])
            assert rows(house, REJECTED_GAMES).drop("tm_ingested").equals(before[1].drop("tm_ingested"))
        assert retain(house, keep_documents=tables) == [], "once is enough"
        kept = house.lake.scan(PLAYER_GAMES.full_name, polars_schema(PLAYER_GAMES.model)).collect()
        if "player_games" in tables:
            assert set(kept["id_game"]) == {game_id(3), game_id(20)}, "what was rejected may be mended some day"

    def test_without_the_guard_the_games_would_be_gone(self, house: Lakehouse, monkeypatch: pytest.MonkeyPatch) -> None:
        retain(house, keep_documents=ALL)
        monkeypatch.setattr(kshift_assets.chess.cleaned, "is_thinned", lambda *_: False)
        clean(house)
        assert rows(house).height < 15

    def test_what_comes_later_is_joined_to_what_was_kept(self, house: Lakehouse) -> None:
        before = rows(house)
        retain(house, keep_documents=ALL)
        add(house, [game(30), game(12, moves="e4 e5 Nf3 f6 Nxe5")], NOW)
        clean(house)
        after = rows(house)
        assert set(after["id_game"]) == {*before["id_game"], game_id(30)}
        joined, was = (frame.filter(pl.col("id_game") == game_id(12)).row(0, named=True) for frame in (after, before))
        assert joined["val_source"] == "player"
        assert joined["arr_eval_cp"] == was["arr_eval_cp"] != None, "what the dump knew is still there"  # noqa: E711

    def test_documents_that_go_while_they_are_cleaned_take_no_game_along(
        self, house: Lakehouse, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before, is_thinned, told = rows(house), kshift_assets.chess.cleaned.is_thinned, []

        def late(*arguments: object) -> bool:
            found = is_thinned(*arguments)
            if not told:
                told.append(retain(house, keep_documents=ALL))
            return found

        monkeypatch.setattr(kshift_assets.chess.cleaned, "is_thinned", late)
        clean(house)
        assert len(told[0]) == 2
        assert rows(house).equals(before)

    def test_games_that_are_not_cleaned_yet_keep_theirs(self, house: Lakehouse) -> None:
        add(house, [game(40)])
        retain(house, keep_documents=ALL)
        clean(house)
        assert game_id(40) in rows(house)["id_game"]

    def test_months_that_are_young_stay(self, house: Lakehouse) -> None:
        assert retain(house, keep_documents="lichess.player_games=36600") == []


class TestVersions:
    def test_of_each_game_the_newest_stays_and_cleaning_gives_the_same(self, house: Lakehouse) -> None:
        before = rows(house), rows(house, REJECTED_GAMES)
        assert retain(house, keep_versions_days=1) == [f"versions {PLAYER_GAMES.full_name} {MONTH}"]
        stored = house.lake.scan(PLAYER_GAMES.full_name, polars_schema(PLAYER_GAMES.model)).collect()
        assert stored.height == 12, "one each, and two of the game whose newest was rejected"
        clean(house)
        assert (rows(house).equals(before[0]), rows(house, REJECTED_GAMES).equals(before[1])) == (True, True)
        assert retain(house, keep_versions_days=1) == []

    def test_young_ones_stay(self, house: Lakehouse) -> None:
        assert retain(house, keep_versions_days=36_600) == []

    @pytest.mark.parametrize("seed", range(3))
    def test_whatever_goes_in_whatever_order_no_game_changes(self, lakehouse: Lakehouse, seed: int) -> None:
        chance = random.Random(seed)
        moves = ["e4", "e4 e5", "e4 e5 Nf3", None, "d4 d5"]
        for step in range(4):
            documents = [game(chance.randrange(12), moves=chance.choice(moves)) for _ in range(6)]
            once = {one["id"]: one for one in documents}
            add(lakehouse, list(once.values()), FIRST + timedelta(days=step))
            clean(lakehouse)
            before = rows(lakehouse)
            wanted = [{"keep_versions_days": 1}, {"keep_documents": ALL}, {}]
            retain(lakehouse, **chance.choice(wanted))
            clean(lakehouse)
            assert rows(lakehouse).equals(before)


def named(tables: str) -> list[str]:
    """In the order in which they are told, without the one that has nothing."""
    order = ["lichess.player_games", "lichess.tv_games", "lichess.dump_games"]
    return [one for one in order if one in tables and "tv" not in one]


class TestSnapshots:
    def test_the_latest_the_newest_and_pinned_ones_stay_and_read_whole(self, house: Lakehouse) -> None:
        house.plugins = []
        for number in range(100, 104):
            assert all(one.succeeded for one in house.carry_on())
            add(house, [game(number)])
            clean(house)
        ids = house.snapshots.ids()
        assert len(ids) == 4
        house.snapshots.pin(ids[1])
        house.snapshots.point_to(ids[2])
        told = {one: counted(house, one) for one in ids[1:]}
        assert retain(house, keep_snapshots_days=1) == [f"snapshots {ids[0]}"] if datetime.now(UTC) < NOW else True
        found = expired(
            house.lake, house.snapshots, rules(house, keep_snapshots_days=1), datetime.now(UTC) + 2 * timedelta(days=1)
        )
        remove(found, house.snapshots)
        assert house.snapshots.ids() == ids[1:]
        retain(house, keep_documents=ALL, keep_versions_days=1)
        list(upkeep(house.lake, house.snapshots, Retention(days=0)).run())
        assert {one: counted(house, one) for one in ids[1:]} == told

    def test_one_that_is_pinned_after_it_was_listed_stays(self, house: Lakehouse) -> None:
        house.plugins = []
        for number in (100, 101):
            assert all(one.succeeded for one in house.carry_on())
            add(house, [game(number)])
            clean(house)
        later = datetime.now(UTC) + timedelta(days=2)
        found = expired(house.lake, house.snapshots, rules(house, keep_snapshots_days=1), later)
        assert len(found) == 1
        house.snapshots.pin(found[0].what)
        remove(found, house.snapshots)
        assert found[0].what in house.snapshots.ids()


def counted(house: Lakehouse, snapshot: str) -> list[tuple]:
    with duckdb.connect(str(house.snapshots.folder_of(snapshot) / "latest.duckdb"), read_only=True) as database:
        tables = [
            name
            for (name,) in database.execute(
                "SELECT schema_name || '.' || view_name FROM duckdb_views() WHERE NOT internal ORDER BY ALL"
            ).fetchall()
        ]
        return [
            (one, *database.execute(f"SELECT count(*), sum(hash(t)::HUGEINT) FROM {one} t").fetchall())
            for one in tables
        ]


class TestFiles:
    def test_old_logs_downloads_and_answers_go_and_young_ones_stay(self, house: Lakehouse) -> None:
        home, old = house.settings.home, NOW.timestamp() - 40 * DAY
        assert all(one.succeeded for one in house.carry_on())
        (run, *_) = house.lake.scan("ops.runs", pl.Schema({"id_run": pl.String})).collect()["id_run"]
        files = {
            f"dagster/storage/{run}/compute_logs/x.err": True,
            "dagster/storage/unknown-run/compute_logs/x.err": False,
            f"downloads/lichess_db_standard_rated_{MONTH}.pgn.zst": True,
            "downloads/lichess_db_standard_rated_2016-01.pgn.zst": False,
            f"downloads/lichess_db_standard_rated_{MONTH}.pgn.zst.part": False,
            "state/quarantine/a.txt": True,
            "alerts-20200101.jsonl": True,
        }
        for name in files:
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (home / name).write_text("x")
            os.utime(home / name, (old, old))
        (home / "state/quarantine/young.txt").write_text("x")
        os.utime(home / "state/quarantine/young.txt", (NOW.timestamp(), NOW.timestamp()))
        (home / "alerts.jsonl").write_text(json.dumps({"time": "2026-01-01T00:00:00+00:00"}) + "\n")
        given = dict.fromkeys(("keep_logs_days", "keep_downloads_days", "keep_quarantine_days"), 30)
        if datetime.now(UTC) > NOW - timedelta(days=30):  # the run counts as old then
            files[f"dagster/storage/{run}/compute_logs/x.err"] = False
        retain(house, **given)
        assert {name: not (home / name).exists() for name in files} == files
        assert (home / "state/quarantine/young.txt").exists()
        assert not (home / "alerts.jsonl").exists()
        assert (home / f"alerts-{NOW:%Y%m%d}.jsonl").read_text().startswith('{"time"')


class TestCommand:
    def test_it_only_tells_unless_it_is_to_apply(self, house: Lakehouse, kshift_here: Kshift) -> None:
        told = kshift_here("retain")
        assert (told.returncode, "0 things" in told.stdout) == (0, True), "nothing goes that nobody asked for"
        version = house.lake.version(PLAYER_GAMES.full_name)
        told = kshift_here("retain", KSHIFT_KEEP_DOCUMENTS=ALL)
        assert (told.returncode, "would go" in told.stdout) == (0, True), told.stderr
        assert house.lake.version(PLAYER_GAMES.full_name) == version
        told = kshift_here("retain", "--apply")
        assert (told.returncode, "are gone" in told.stdout) == (0, True), told.stderr
        assert house.lake.n_rows(PLAYER_GAMES.full_name) == 3
        assert "0 things" in kshift_here("retain").stdout

    @pytest.mark.parametrize("wrong", ["chess.games=30", "lichess.player_games", "lichess.player_games=0", "x=1"])
    def test_a_wrong_rule_is_told(self, kshift_here: Kshift, wrong: str) -> None:
        told = kshift_here("retain", KSHIFT_KEEP_DOCUMENTS=wrong)
        assert (told.returncode, "KSHIFT_KEEP_DOCUMENTS" in told.stderr) == (2, True)

    def test_nothing_goes_while_a_backup_is_made(self, house: Lakehouse) -> None:
        with house.snapshots.removals(), pytest.raises(UserError, match="a backup"):
            retain(house, keep_documents=ALL)
        assert house.lake.n_rows(PLAYER_GAMES.full_name) == 15

    def test_the_asset_tells_what_would_go(self, house: Lakehouse, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("KSHIFT_KEEP_DOCUMENTS", ALL)
        assert house.runner.run(Batch((RETENTION_KEY,), None)).succeeded
        (record,) = house.instance.fetch_materializations(RETENTION_KEY, limit=1).records
        assert record.asset_materialization.metadata["would go rows"].value == 12 + 10
        assert house.lake.n_rows(PLAYER_GAMES.full_name) == 15


class TestLeftovers:
    def test_partials_that_no_code_reads_go_and_the_others_stay(self, tmp_path: Path) -> None:
        lake, schema = Lake(uri=str(tmp_path / "lake")), pl.Schema({"n": pl.Int64, "dt_month": pl.String})
        tables = ["partials.pairs_0123456789ab", min(partials())]
        for table in tables:
            lake.append(table, pl.DataFrame({"n": [1], "dt_month": ["2024-01"]}, schema), schema)
        house = Lakehouse(tmp_path, None, [])  # type: ignore[arg-type]  # nothing runs
        list(upkeep(lake, house.snapshots, Retention(days=1)).run())
        assert lake.n_rows(tables[0]) == 1, "an older version of the code may still be at work"
        told = list(upkeep(lake, house.snapshots, Retention(days=0)).run(dry=True))
        done = list(upkeep(lake, house.snapshots, Retention(days=0)).run())
        assert [one for one in done if one.table == tables[0]] == [one for one in told if one.table == tables[0]]
        assert lake.version(tables[0]) is None
        assert not list(Path(lake.path(tables[0])).rglob("*.*"))
        assert lake.n_rows(tables[1]) == 1

    def test_journal_rows_that_nothing_needs_go(self, house: Lakehouse) -> None:
        units = house.lake.scan(DUMP_UNITS.full_name, UNITS_SCHEMA).collect()
        old = units.with_columns(val_reader=pl.lit("0"))
        under_way = units.with_columns(val_file_sha256=pl.lit("f" * 64), val_path=pl.lit(f"dt_month={MONTH}/other"))
        gave_way = units.with_columns(val_path=pl.lit(f"dt_month={MONTH}/before"))
        for frame in (old, under_way, gave_way):
            house.lake.append(DUMP_UNITS.full_name, frame, UNITS_SCHEMA)
        time.sleep(0.01)
        assert sum(one.rows for one in upkeep(house.lake, house.snapshots, Retention(days=1)).run()) == 0
        assert sum(one.rows for one in upkeep(house.lake, house.snapshots, Retention(days=0)).run(dry=True)) == 2
        assert sum(one.rows for one in upkeep(house.lake, house.snapshots, Retention(days=0)).run()) == 2
        left = house.lake.scan(DUMP_UNITS.full_name, UNITS_SCHEMA).collect()
        assert left.sort("val_file_sha256").equals(pl.concat([units, under_way]).sort("val_file_sha256"))

    def test_a_dump_whose_documents_went_leaves_no_files(self, house: Lakehouse) -> None:
        retain(house, keep_documents=ALL)
        list(upkeep(house.lake, house.snapshots, Retention(days=0)).run())
        folder = Path(house.lake.path(DUMP_GAMES.full_name)) / f"dt_month={MONTH}"
        assert list(folder.glob("*.parquet")) == []
