"""Frames that wait on the disk come back as they were, as often as asked."""

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from kshift_assets.chess.schemas import RejectedGames
from kshift_assets.spool import Spool
from kshift_assets.tables import polars_schema

SCHEMA = pl.Schema({"n_one": pl.Int64(), "arr_two": pl.List(pl.String())})
ROWS = st.lists(
    st.tuples(st.none() | st.integers(0, 9), st.none() | st.lists(st.none() | st.text(max_size=3), max_size=3)),
    max_size=5,
)


@settings(max_examples=50, deadline=None)
@given(st.lists(ROWS, max_size=4), st.lists(ROWS, max_size=4))
def test_frames_come_back_and_are_forgotten_when_told(
    before: list[list[tuple[object, ...]]], after: list[list[tuple[object, ...]]]
) -> None:
    with Spool(SCHEMA) as spool:
        for waiting in (before, after):
            spool.clear()
            frames = [pl.DataFrame(rows, schema=SCHEMA, orient="row") for rows in waiting]
            for frame in frames:
                spool.add(frame)
            for _ in range(2):
                found = pl.concat([pl.DataFrame(schema=SCHEMA), *spool.frames()])
                assert found.equals(pl.concat([pl.DataFrame(schema=SCHEMA), *frames]))


def test_a_frame_may_be_large_and_a_schema_that_of_a_table() -> None:
    schema = polars_schema(RejectedGames)
    rows = pl.DataFrame(schema=schema).clear(25_000).with_columns(val_text=pl.lit("x"))

    with Spool(schema) as spool:
        spool.add(rows)

        assert [frame.height for frame in spool.frames()] == [10_000, 10_000, 5_000]
        assert pl.concat(spool.frames()).equals(rows)
