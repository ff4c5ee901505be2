"""The history of runs: every run and step once, as Dagster's own event log has them, and kept when that is emptied."""

import json
from collections.abc import Iterator
from typing import Any

import dagster as dg
import polars as pl
import pytest

from kshift_assets.ops import events
from kshift_assets.ops.history import note_runs
from kshift_assets.ops.tables import RUN_STEPS, RUNS
from kshift_assets.tables import polars_schema
from lakehouse import Lakehouse, pgn
from resources.lake import Lake

SECRET = "lip_" + "secret" * 4  # pragma: allowlist secret


def runs(lakehouse: Lakehouse) -> dict[str, dict[str, Any]]:
    """Run id → its row of ops.runs."""
    found = lakehouse.lake.scan(RUNS.full_name, polars_schema(RUNS.model)).collect()
    assert found["id_run"].is_unique().all()
    return {row["id_run"]: row for row in found.iter_rows(named=True)}


def steps(lakehouse: Lakehouse) -> pl.DataFrame:
    return lakehouse.lake.scan(RUN_STEPS.full_name, polars_schema(RUN_STEPS.model)).collect()


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lakehouse]:
    """A lakehouse with a month of two games, published once; the run that published is over since."""
    with dg.DagsterInstance.ephemeral() as instance:
        lakehouse = Lakehouse(tmp_path_factory.mktemp("history"), instance, [])
        lakehouse.write_dump("2024-01", pgn("aaaaaaa1"), pgn("aaaaaaa2"))
        lakehouse.make("lichess/dump_games", "2024-01")
        assert all(outcome.succeeded for outcome in lakehouse.carry_on())
        yield lakehouse


def test_what_is_published_tells_of_all_runs_up_to_then(published: Lakehouse) -> None:
    found = published.query("SELECT id_run, val_job, val_partition, val_status, n_rows, n_bytes, n_steps FROM ops.runs")
    records = {record.dagster_run.run_id: record for record in published.instance.get_run_records()}
    assert {row[0] for row in found} <= records.keys()
    [reading] = [row for row in found if row[5]]
    assert reading[1:5] == ("__ASSET_JOB", "2024-01", "success", 2)
    dump = published.folder / "dumps" / "lichess_db_standard_rated_2024-01.pgn"
    assert reading[5] == dump.stat().st_size
    assert {row[3] for row in found} == {"success", "started"}
    for id_run, *_, state, _, _, n_steps in found:
        stats = published.instance.get_run_stats(id_run)
        assert n_steps == stats.steps_succeeded or state == "started"
    [publishing] = [row[0] for row in found if row[3] == "started"]
    assert dg.AssetKey(["published", "snapshot"]) in records[publishing].dagster_run.asset_selection


def test_every_step_is_there_with_what_it_made(published: Lakehouse) -> None:
    note_runs(published.lake, published.instance)
    [row] = steps(published).filter(pl.col("val_assets").str.starts_with("chess/games")).to_dicts()
    assert (row["val_status"], row["n_tries"], row["val_partition"]) == ("success", 1, "2024-01")
    assert row["val_assets"] == "chess/games, chess/rejected_games"
    assert json.loads(row["val_code_versions"]).keys() == {"chess/games", "chess/rejected_games"}
    assert row["n_rows"] == 2
    assert row["n_checks"] >= 3
    assert row["n_checks_failed"] == 0


def test_a_step_that_breaks_a_rule_is_told_of_its_own_table_and_nothing_is_written(
    lakehouse: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    lakehouse.make("chess/openings")
    monkeypatch.setattr(events, "_STEP_STATES", events._STEP_STATES | {dg.DagsterEventType.STEP_SUCCESS: "splendid"})
    [outcome] = lakehouse.make("ops/runs")
    assert "break a rule" in outcome.problems[0]
    assert lakehouse.failed_checks() == {"ops/run_steps:schema"}
    assert runs(lakehouse) == {}
    assert steps(lakehouse).is_empty()


def test_a_history_of_runs_is_no_reason_to_publish(published: Lakehouse) -> None:
    published.make("ops/runs")
    assert published.carry_on() == []
    assert len(published.snapshots.ids()) == 1


def test_a_run_that_was_not_over_is_brought_up_to_date_and_nothing_is_read_twice(lakehouse: Lakehouse) -> None:
    lakehouse.make("ops/runs")
    [(unfinished, row)] = runs(lakehouse).items()
    assert row["val_status"] == "started"
    assert note_runs(lakehouse.lake, lakehouse.instance) == 1
    row, stats = runs(lakehouse)[unfinished], lakehouse.instance.get_run_stats(unfinished)
    assert (row["val_status"], row["n_steps"]) == ("success", stats.steps_succeeded)
    assert row["tm_started"].timestamp() == pytest.approx(stats.start_time, abs=1e-3)
    assert row["n_duration_ms"] == pytest.approx((stats.end_time - stats.start_time) * 1000, abs=1)
    version = lakehouse.lake.version(RUNS.full_name)
    assert note_runs(lakehouse.lake, lakehouse.instance) == 0
    assert lakehouse.lake.version(RUNS.full_name) == version


def test_a_failed_run_tells_its_step_and_why_without_secrets(
    lakehouse: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError(f"no answer\nfor Bearer {SECRET}")

    monkeypatch.setattr("resources.dumps.Dumps.find", broken)
    [outcome] = lakehouse.make("lichess/dump_games", "2024-01")
    assert not outcome.succeeded
    note_runs(lakehouse.lake, lakehouse.instance)
    [row] = runs(lakehouse).values()
    assert (row["val_status"], row["val_step_failed"]) == ("failure", "lichess__dump_games")
    assert row["val_error"] == "RuntimeError: no answer for Bearer ***"
    assert (row["n_steps"], row["n_steps_failed"], row["n_rows"]) == (1, 1, 0)
    assert steps(lakehouse).row(0, named=True)["val_error"] == row["val_error"]


def test_what_dagster_forgets_is_kept(lakehouse: Lakehouse) -> None:
    lakehouse.make("ops/runs")
    [(id_run, before)] = runs(lakehouse).items()
    lakehouse.instance.delete_run(id_run)
    assert note_runs(lakehouse.lake, lakehouse.instance) == 1
    assert runs(lakehouse) == {id_run: before | {"val_status": "lost"}}
    assert steps(lakehouse)["id_run"].to_list() == [id_run]


def test_runs_of_another_storage_are_read_in_commits_of_a_bounded_size(
    lakehouse: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kshift_assets.ops.history.BATCH", 3)
    made = [
        lakehouse.instance.create_run_for_job(dg.job(name="nothing")(lambda: None)).run_id  # never started
        for _ in range(8)
    ]
    assert note_runs(lakehouse.lake, lakehouse.instance) == 8
    assert runs(lakehouse).keys() == set(made)
    assert {row["val_status"] for row in runs(lakehouse).values()} == {"not_started"}


def test_two_that_note_runs_at_once_note_each_once(lakehouse: Lakehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second begins while the first is between reading and writing."""
    lakehouse.write_dump("2024-01", pgn("aaaaaaa1"))
    lakehouse.make("lichess/dump_games", "2024-01")
    original, begun = Lake.overwrite, []

    def raced(lake: Lake, *arguments: Any, **named: Any) -> Any:
        if not begun:
            begun.append(True)
            note_runs(lakehouse.lake, lakehouse.instance)
        return original(lake, *arguments, **named)

    monkeypatch.setattr(Lake, "overwrite", raced)
    note_runs(lakehouse.lake, lakehouse.instance)
    assert len(runs(lakehouse)) == 1
    assert steps(lakehouse).height == 1
