"""The quick look at all rules at once says the same as Pandera's own validation, whatever the rows."""

import pandera.polars as pa
import polars as pl
import pytest
from game_rows import document, dump_row, dump_rows, player_rows
from hypothesis import given, settings
from hypothesis import strategies as st
from pandera.api.polars.types import PolarsData

from kshift_assets.chess.cleaning import from_documents, from_dump
from kshift_assets.chess.schemas import Games
from kshift_assets.chess.texts import blanks_in
from kshift_assets.tables import split, validated
from kshift_assets.verdicts import parted

SOUND = pl.concat(
    [
        from_documents(player_rows([document(clocks=[1, 2, 3], analysis=[{"eval": 3}, {"mate": 2}])]))[0],
        from_dump(dump_rows(dump_row(id_game="other123")))[0],
    ]
).to_dicts()
ODD_VALUES = {
    "id_game": [None, "abcdEF1", "abcdEF12\n", "abcdEF1é"],
    "id_user_white": [None, "A", "x", "alfa_one"],
    "val_name_white": [None, "ALFA_ONE", "İ"],
    "n_rating_white": [None, 99, 100, 4500, 4501],
    "n_ai_level_black": [None, 0, 1, 9],
    "ind_rated": [None, True],
    "val_variant": [None, "fromPosition", "fog"],
    "val_speed": [None, "rapid", "warp"],
    "val_status": [None, "mate", "draw", "started", "teleported"],
    "val_result": [None, "*", "0-1", "2-0"],
    "n_plies": [None, 0, 2, 3, -1],
    "val_moves": [None, "", " ", "e4  e5", "e4 e5 Nf3", "é é é"],
    "arr_clock_cs": [None, [], [1, None, 3], [1]],
    "arr_eval_cp": [None, [None, None, None]],
    "arr_eval_mate": [None, [None, None, None]],
    "n_clock_initial_s": [None, -1, 0],
    "val_eco": [None, "Z99", "C40"],
    "tm_last_move": [None],
    "tm_created": [None],
    "dt_month": [None, "2015-13", "2015-02"],
}


@st.composite
def _games(draw: st.DrawFn) -> dict[str, object]:
    changes = draw(st.lists(st.sampled_from(sorted(ODD_VALUES)), max_size=3))
    return draw(st.sampled_from(SOUND)) | {name: draw(st.sampled_from(ODD_VALUES[name])) for name in changes}


@settings(max_examples=50, deadline=None)
@given(st.lists(_games(), max_size=8))
def test_games_are_parted_as_pandera_parts_them(rows: list[dict[str, object]]) -> None:
    frame = pl.DataFrame(rows, schema=SCHEMA, orient="row").with_row_index("n_row")
    apart = [validated(Games, row) for row in frame.iter_slices(1)]  # for more at once Pandera panics at times

    good, bad = split(Games, frame)
    assert good.equals(pl.concat([frame.clear(), *(one for one, _ in apart)]))
    assert bad.equals(pl.concat([bad.clear(), *(one for _, one in apart)]))


def test_rows_with_and_without_lists_that_break_one_rule_are_told_apart_from_the_rest() -> None:
    rows = [
        one | {"val_result": "*", "arr_clock_cs": clocks}
        for one, clocks in zip(SOUND * 2, (None, [1, None, 2], [3, 2, 1], [None] * 3), strict=True)
    ]

    _, bad = split(Games, pl.DataFrame(rows, schema=SCHEMA, orient="row"))

    assert bad.get_column("val_reasons").to_list() == ["val_result fits val_status"] * 4


SCHEMA = from_documents(player_rows([]))[0].schema


class Unique(pa.DataFrameModel):
    """A model whose rule is about a whole column."""

    id_one: int = pa.Field(unique=True)


class Measured(pa.DataFrameModel):
    """A model of numbers that may be NaN, which Pandera takes for null."""

    n_share: float = pa.Field(ge=0)


class Filled(pa.DataFrameModel):
    """A model with a rule that has one answer for the whole frame."""

    n_one: int

    @pa.dataframe_check(name="there are rows")
    @classmethod
    def _there_are_rows(cls, data: PolarsData) -> bool:
        return bool(data.lazyframe.select(pl.len()).collect().item())


class Strict(pa.DataFrameModel):
    """A model whose rule about nulls is its own."""

    n_one: int = pa.Field(nullable=True, ge=0, ignore_na=False)


@pytest.mark.parametrize(
    ("model", "values"), [(Unique, [1, 2, 1]), (Measured, [0.5, float("nan"), None]), (Filled, [1])]
)
def test_rules_that_are_not_of_single_rows_are_pandera_s(model: type[pa.DataFrameModel], values: list[float]) -> None:
    frame = pl.DataFrame({next(iter(model.to_schema().columns)): values})

    assert parted(model, frame) is None
    assert [str(part.rows()) for part in split(model, frame)] == [str(part.rows()) for part in validated(model, frame)]


def test_a_null_breaks_a_rule_that_wants_to_hear_of_nulls() -> None:
    good, bad = split(Strict, pl.DataFrame({"n_one": [1, None, -1]}))

    assert good.rows() == [(1,)]
    assert bad.get_column("val_reasons").to_list() == [
        "n_one: greater_than_or_equal_to(0) (got nothing)",
        "n_one: greater_than_or_equal_to(0) (got -1)",
    ]


@settings(deadline=None)
@given(st.lists(st.none() | st.text(alphabet="a b\t\x1fé\u2003", max_size=8), max_size=8))
def test_blanks_are_counted_as_python_does(texts: list[str | None]) -> None:
    column = pl.Series(texts, dtype=pl.String)

    assert blanks_in(column).to_list() == [None if one is None else one.count(" ") for one in texts]
