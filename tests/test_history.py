"""Snapshots in people's hands: listed, put back, kept for ever, and held beside each other."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commands import Kshift
from resources.errors import UserError
from resources.lake import Lake, duckdb_type, parquet_sql
from resources.snapshots import DATABASE, Pin, Snapshots
from serving.history import Difference, differences, kept

SCHEMA = pl.Schema({"id_row": pl.Int64, "val_text": pl.String, "arr_numbers": pl.List(pl.Int64)})
TABLE = "pair.l_table"
Row = tuple[int, str | None, list[int] | None]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(uri=str(tmp_path / "home" / "lake"))


@pytest.fixture
def snapshots(tmp_path: Path) -> Snapshots:
    return Snapshots(folder=str(tmp_path / "home" / "published"))


def pinned(lake: Lake, table: str, schema: pl.Schema, rows: int | None = 0) -> Pin:
    files = lake.files(table)
    columns = {name: duckdb_type(kind) for name, kind in schema.items()}
    n_rows = None if rows is None else lake.n_rows(table)
    return Pin(table, f"SELECT * FROM {parquet_sql(files, schema)}", "A table", columns, {}, files, n_rows, 1)


def publish(lake: Lake, snapshots: Snapshots, rows: Sequence[Sequence[object]], schema: pl.Schema = SCHEMA) -> str:
    lake.overwrite(TABLE, lambda: [pl.DataFrame(rows, schema=schema, orient="row")], schema)
    pins = [pinned(lake, TABLE, schema), pinned(lake, "pair.a_view", schema, None)]
    return str(snapshots.publish(pins, lambda _: None)["snapshot"])


def test_they_are_listed_newest_first(lake: Lake, snapshots: Snapshots) -> None:
    first, second = publish(lake, snapshots, [(1, "a", [])]), publish(lake, snapshots, [(1, "a", []), (2, "b", None)])
    snapshots.pin(first, "before the move")
    newest, oldest = kept(snapshots)
    assert (newest.snapshot, newest.rows, newest.is_latest, newest.pinned) == (second, 2, True, None)
    assert (oldest.snapshot, oldest.rows, oldest.is_latest, oldest.pinned) == (first, 1, False, "before the move")
    snapshots.unpin(first)
    assert kept(snapshots)[1].pinned is None


def test_one_is_found_by_the_beginning_of_its_id_if_that_is_enough(lake: Lake, snapshots: Snapshots) -> None:
    with pytest.raises(UserError, match=r"'2026' is no snapshot \(nothing is published yet\)"):
        snapshots.find("2026")
    first, second = publish(lake, snapshots, []), publish(lake, snapshots, [])
    assert snapshots.find("latest") == snapshots.find(second) == second
    assert snapshots.find(first[:-1]) == first
    for text, what in (("20", "is how several"), ("", "is no snapshot"), ("../..", "is no snapshot")):
        with pytest.raises(UserError, match=rf"{what}.*2 there, newest {second}"):
            snapshots.find(text)


def test_rows_that_came_changed_and_went(lake: Lake, snapshots: Snapshots) -> None:
    one = publish(lake, snapshots, [(1, "a", [1]), (2, "b", [2]), (3, None, None)])
    two = publish(lake, snapshots, [(2, "b", [2, 2]), (3, "c", None), (4, "d", []), (5, "e", [])])
    assert differences(snapshots, one, two) == [Difference(TABLE, 2, 2, 1, ["id_row"], [])]
    assert differences(snapshots, two, one) == [Difference(TABLE, 1, 2, 2, ["id_row"], [])]
    assert differences(snapshots, one, one)[0].added == 0


def test_a_column_that_came_is_told_and_the_others_are_compared(lake: Lake, snapshots: Snapshots) -> None:
    one = publish(lake, snapshots, [(1, "a", [1]), (2, "b", [2])])
    wider = pl.Schema({"id_row": pl.Int64, "val_text": pl.String, "n_more": pl.Int64})
    two = publish(lake, snapshots, [(1, "a", 7), (2, "x", 7)], wider)
    assert differences(snapshots, one, two) == [Difference(TABLE, 0, 1, 0, ["id_row"], ["-arr_numbers", "+n_more"])]


def test_only_files_that_one_of_the_two_lacks_are_read(lake: Lake, snapshots: Snapshots) -> None:
    one = publish(lake, snapshots, [(1, "a", [1])])
    (shared,) = lake.files(TABLE)
    lake.append(TABLE, pl.DataFrame([(2, "b", [2])], schema=SCHEMA, orient="row"), SCHEMA)
    two = str(snapshots.publish([pinned(lake, TABLE, SCHEMA)], lambda _: None)["snapshot"])
    pl.DataFrame([(1, "other", []), (7, "b", [])], schema=SCHEMA, orient="row").write_parquet(shared)
    assert [
        (one.added, one.changed, one.removed) for one in differences(snapshots, one, two) if one.table == TABLE
    ] == [(1, 0, 0)]


ROWS = st.lists(
    st.tuples(
        st.integers(0, 3), st.none() | st.sampled_from("ab"), st.none() | st.lists(st.integers(0, 1), max_size=1)
    ),
    max_size=6,
)


@settings(max_examples=12, deadline=None)
@given(before=ROWS, after=ROWS)
def test_the_numbers_are_those_of_sets_of_rows(
    tmp_path_factory: pytest.TempPathFactory, before: list[Row], after: list[Row]
) -> None:
    folder = tmp_path_factory.mktemp("lake")
    lake, snapshots = Lake(uri=str(folder / "lake")), Snapshots(folder=str(folder / "published"))
    one, two = publish(lake, snapshots, before), publish(lake, snapshots, after)
    (found,) = differences(snapshots, one, two)
    left, right = (Counter(map(repr, rows)) for rows in (before, after))
    # A changed row is one that went and one that came.
    assert found.added + found.changed == (right - left).total()
    assert found.removed + found.changed == (left - right).total()
    if found.key == ["id_row"]:
        texts = [dict(zip([row[0] for row in rows], rows, strict=True)) for rows in (before, after)]
        assert found.changed == sum(texts[0][key] != texts[1][key] for key in texts[0].keys() & texts[1].keys())


def test_a_rollback_is_seen_by_the_next_reader_and_ends_with_the_next_snapshot(
    lake: Lake, snapshots: Snapshots, kshift_here: Kshift
) -> None:
    first, second = publish(lake, snapshots, [(1, "a", [])]), publish(lake, snapshots, [(1, "b", [])])
    count = ("sql", f"SELECT val_text FROM {TABLE}", "--format", "json")
    assert json.loads(kshift_here(*count).stdout) == [{"val_text": "b"}]
    assert (
        kshift_here("rollback", first).stdout
        == f"Consumers now read {first}, until the next snapshot passes its checks.\n"
    )
    assert json.loads(kshift_here(*count).stdout) == [{"val_text": "a"}]
    listed = json.loads(kshift_here("snapshots", "--json").stdout)
    assert [(one["snapshot"], one["is_latest"]) for one in listed] == [(second, False), (first, True)]
    told = json.loads(kshift_here("diff", first, second, "--json").stdout)
    assert [(one["table"], one["changed"]) for one in told] == [(TABLE, 1)]
    publish(lake, snapshots, [(1, "c", [])])
    assert json.loads(kshift_here(*count).stdout) == [{"val_text": "c"}]


def test_what_cannot_be_is_refused_in_a_sentence(snapshots: Snapshots, kshift_here: Kshift) -> None:
    for command in (["rollback", "2020"], ["pin", "2020"], ["unpin", "../x"], ["diff", "latest", "latest"]):
        found = kshift_here(*command)
        assert found.returncode == 2
        assert "is no snapshot (nothing is published yet): see `kshift snapshots`" in found.stderr
    assert not Path(snapshots.folder).exists()


def test_a_pinned_snapshot_survives_being_pinned_twice(lake: Lake, snapshots: Snapshots) -> None:
    one = publish(lake, snapshots, [])
    snapshots.pin(one, "first")
    snapshots.pin(one, "second")
    assert snapshots.pinned() == {one: "second"}
    assert (snapshots.folder_of(one) / DATABASE).exists()
