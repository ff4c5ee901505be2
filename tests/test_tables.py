"""What a table's model yields, and the audit that holds rows to it on their way to the lake."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import pandera.errors
import pandera.polars as pa
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandera.api.polars.types import PolarsData

from kshift_assets.audit import Audit
from kshift_assets.chess.schemas import Games
from kshift_assets.reporting import AuditFailed
from kshift_assets.tables import column_schema, descriptions, polars_schema, row_rules, rules, split, summary
from resources.lake import Lake


class Visits(pa.DataFrameModel):
    """Visits of a club, one row each. A made-up table."""

    id_visitor: str = pa.Field(str_matches="^[a-z]+$", description="Who came")
    n_guests: pl.Int16 = pa.Field(nullable=True, in_range={"min_value": 1, "max_value": 9}, description="With how many")
    n_minutes: pl.Int64 = pa.Field(ge=0, description="How long, minutes")
    val_room: str = pa.Field(nullable=True, isin=("hall", "garden"), description="Where")
    arr_n_scores: Annotated[pl.List, pl.Int32()] = pa.Field(nullable=True, description="Points by round")
    tm_came: Annotated[pl.Datetime, "us", "UTC"] = pa.Field(nullable=True, description="When")

    @pa.dataframe_check(name="guests_stay")
    @classmethod
    def _guests_stay(cls, data: PolarsData) -> pl.LazyFrame:
        return data.lazyframe.select(pl.col("n_guests").is_null() | (pl.col("n_guests") <= pl.col("n_minutes")))


SCHEMA = pl.Schema(
    {
        "id_visitor": pl.String(),
        "n_guests": pl.Int16(),
        "n_minutes": pl.Int64(),
        "val_room": pl.String(),
        "arr_n_scores": pl.List(pl.Int32()),
        "tm_came": pl.Datetime("us", "UTC"),
    }
)


def visits(*rows: tuple[str | None, int | None, int | None, str | None]) -> pl.DataFrame:
    whole = [(*row, [1, None], None) for row in rows]
    return pl.DataFrame(whole, schema=SCHEMA, orient="row")


SOUND = ("anna", 2, 30, "hall")


class TestSchema:
    def test_columns_and_types_come_in_the_order_of_the_model(self):
        assert polars_schema(Visits) == SCHEMA
        assert polars_schema(Visits).names() == SCHEMA.names()

    def test_a_frame_of_the_schema_passes_the_model_for_every_type_in_use(self):
        empty = pl.DataFrame(schema=polars_schema(Games))

        assert split(Games, empty)[0].equals(empty)

    def test_texts_and_rules_are_in_words(self):
        assert summary(Visits) == "Visits of a club, one row each. A made-up table."
        assert descriptions(Visits)["n_minutes"] == "How long, minutes"
        assert rules(Visits) == {
            "id_visitor": ["matches ^[a-z]+$", "not null"],
            "n_guests": ["1 to 9"],
            "n_minutes": ["≥ 0", "not null"],
            "val_room": ["hall | garden"],
            "arr_n_scores": [],
            "tm_came": [],
        }
        assert row_rules(Visits) == ["guests stay"]

    def test_dagster_gets_the_columns_as_sql_people_know_them(self):
        columns = {column.name: column for column in column_schema(Visits).columns}

        assert [columns[name].type for name in SCHEMA] == [
            "VARCHAR",
            "SMALLINT",
            "BIGINT",
            "VARCHAR",
            "INTEGER[]",
            "TIMESTAMP WITH TIME ZONE",
        ]
        assert columns["n_guests"].description == "With how many"
        assert (columns["n_guests"].constraints.nullable, columns["n_minutes"].constraints.nullable) == (True, False)
        assert column_schema(Visits).constraints.other == ["guests stay"]


class TestSplit:
    def test_sound_rows_stay_as_they_are(self):
        frame = visits(SOUND, ("basil", None, 0, None))
        good, bad = split(Visits, frame)

        assert good.equals(frame)
        assert bad.height == 0
        assert bad.schema == pl.Schema({**SCHEMA, "val_reasons": pl.String()})

    def test_no_rows_are_sound(self):
        good, bad = split(Visits, visits())

        assert (good.height, bad.height) == (0, 0)
        assert good.schema == SCHEMA

    @pytest.mark.parametrize(
        ("row", "reason"),
        [
            (("Anna", 2, 30, "hall"), "id_visitor: str_matches('^[a-z]+$') (got Anna)"),
            ((None, 2, 30, "hall"), "id_visitor: not_nullable (got nothing)"),
            (("anna", 10, 30, "hall"), "n_guests: in_range(1, 9) (got 10)"),
            (("anna", None, -1, "hall"), "n_minutes: greater_than_or_equal_to(0) (got -1)"),
            (("anna", 2, 30, "attic"), "val_room: isin(('hall', 'garden')) (got attic)"),
            (("anna", 9, 8, "hall"), "guests_stay"),
        ],
    )
    def test_a_row_that_breaks_a_rule_is_set_apart_with_the_reason(
        self, row: tuple[str | None, int | None, int | None, str | None], reason: str
    ):
        good, bad = split(Visits, visits(SOUND, row, SOUND))

        assert good.equals(visits(SOUND, SOUND))
        assert bad.drop("val_reasons").equals(visits(row))
        assert bad.item(0, "val_reasons") == reason

    def test_every_broken_rule_of_a_row_is_named(self):
        _, bad = split(Visits, visits(SOUND, ("A", 50, -1, "attic")))

        assert bad.item(0, "val_reasons").split("; ") == [
            "guests_stay",
            "id_visitor: str_matches('^[a-z]+$') (got A)",
            "n_guests: in_range(1, 9) (got 50)",
            "n_minutes: greater_than_or_equal_to(0) (got -1)",
            "val_room: isin(('hall', 'garden')) (got attic)",
        ]

    def test_a_long_value_is_cut_in_the_reason(self):
        _, bad = split(Visits, visits(("X" * 10_000, 1, 1, None)))

        assert bad.item(0, "val_reasons") == f"id_visitor: str_matches('^[a-z]+$') (got {'X' * 80})"

    @pytest.mark.parametrize(
        "wrong",
        [visits(SOUND).drop("n_minutes"), visits(SOUND).cast({"n_guests": pl.Int64})],
        ids=["without a column", "of another type"],
    )
    def test_a_frame_that_is_wrong_as_a_whole_is_nobodys_row(self, wrong: pl.DataFrame):
        with pytest.raises(pandera.errors.SchemaErrors):
            split(Visits, wrong)

    @given(
        st.lists(
            st.tuples(
                st.none() | st.sampled_from(["anna", "basil", "A", "", "a1"]),
                st.none() | st.integers(-2, 12),
                st.none() | st.integers(-2, 12),
                st.sampled_from([None, "hall", "garden", "attic"]),
            ),
            max_size=12,
        )
    )
    def test_each_row_is_on_its_side_whatever_stands_beside_it(self, table):
        good, bad = split(Visits, visits(*table))
        expected = [row for row in table if _is_sound(*row)]

        assert good.equals(visits(*expected))
        assert bad.drop("val_reasons").equals(visits(*(row for row in table if not _is_sound(*row))))
        assert bad.get_column("val_reasons").null_count() == 0


def _is_sound(visitor: str | None, guests: int | None, minutes: int | None, room: str | None) -> bool:
    """The rules of Visits, written anew."""
    if visitor is None or not visitor.isalpha() or not visitor.islower() or minutes is None or minutes < 0:
        return False
    if guests is not None and not (1 <= guests <= 9 and guests <= minutes):
        return False
    return room in (None, "hall", "garden")


class TestAudit:
    def test_sound_frames_go_through_and_are_counted(self):
        audit = Audit(Visits, unique="id_visitor")
        frames = [visits(SOUND), visits(), visits(("basil", 1, 1, None), ("clara", 1, 1, None))]
        passed = list(audit.watch(frames))

        assert [one.to_dicts() for one in passed] == [one.to_dicts() for one in frames]
        assert audit.n_rows == 3
        assert [(one.check, one.passed) for one in audit.findings()] == [("schema", True), ("unique_id_visitor", True)]
        assert audit.findings()[0].metadata["rows"] == 3

    def test_columns_that_are_not_in_the_model_are_dropped(self):
        (passed,) = Audit(Visits).watch([visits(SOUND).with_columns(extra=pl.lit(1))])

        assert passed.schema == SCHEMA

    def test_a_broken_rule_stops_everything_and_is_told_with_its_cases(self):
        audit = Audit(Visits)
        watched = audit.watch(
            [visits(SOUND), visits(("A", 1, 1, None), ("A", 1, 1, None), ("anna", 99, 999, None), SOUND)]
        )

        assert next(watched).height == 1
        with pytest.raises(AuditFailed, match="3 rows break a rule, first: id_visitor: str_matches") as caught:
            next(watched)

        finding = caught.value.finding
        assert (finding.check, finding.passed, finding.metadata["rows"]) == ("schema", False, 3)
        cases = finding.metadata["cases"].value.splitlines()
        assert "| 2 | id_visitor: str_matches('^[a-z]+$') (got A) |" in cases
        assert "| 1 | n_guests: in_range(1, 9) (got 99) |" in cases

    @pytest.mark.parametrize(
        "frames",
        [[visits(SOUND, ("anna", 1, 1, None))], [visits(SOUND), visits(("basil", 1, 1, None), ("anna", 1, 1, None))]],
        ids=["in one frame", "in two"],
    )
    def test_a_key_that_comes_twice_is_found_at_the_end(self, frames: list[pl.DataFrame]):
        with pytest.raises(AuditFailed, match="1 rows repeat an id_visitor") as caught:
            list(Audit(Visits, unique="id_visitor").watch(frames))

        assert (caught.value.finding.check, caught.value.finding.metadata["repeated"]) == ("unique_id_visitor", 1)

    def test_where_no_key_is_asked_for_none_is_checked(self):
        audit = Audit(Visits)

        assert len(list(audit.watch([visits(SOUND, SOUND)]))) == 1
        assert [one.check for one in audit.findings()] == ["schema"]

    def test_a_second_time_begins_anew(self):
        audit = Audit(Visits, unique="id_visitor")
        for _ in range(2):  # the lake makes the frames again when it lost a race
            list(audit.watch([visits(SOUND)]))

        assert audit.n_rows == 1
        assert all(one.passed for one in audit.findings())

    @pytest.mark.parametrize("row", [("A", 1, 1, None), SOUND], ids=["a broken rule", "a repeated key"])
    def test_what_it_refuses_does_not_reach_the_lake(
        self, tmp_path: Path, row: tuple[str | None, int | None, int | None, str | None]
    ):
        lake, audit = Lake(uri=str(tmp_path)), Audit(Visits, unique="id_visitor")
        lake.overwrite("club.visits", lambda: audit.watch([visits(("old", 1, 1, None))]), SCHEMA)

        def frames() -> Iterator[pl.DataFrame]:
            return audit.watch([visits(SOUND), visits(row)])

        with pytest.raises(AuditFailed):
            lake.overwrite("club.visits", frames, SCHEMA)

        assert lake.scan("club.visits", SCHEMA).collect().get_column("id_visitor").to_list() == ["old"]
        assert lake.version("club.visits") == 1
