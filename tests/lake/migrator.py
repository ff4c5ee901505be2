"""A lake whose columns were others once, the migrations that bring it up to date, and a process that does it."""

from multiprocessing.connection import Connection

import polars as pl

from resources.lake import Cursor, Lake
from resources.migrations import Migration, Migrations
from resources.table_changes import Added, Change, Dropped, Renamed, Retyped

TABLE = "lichess.ratings"
MONTHS = [f"2013-{month:02}" for month in range(1, 10)]
OLD = pl.Schema(
    {"name": pl.String, "n_rating": pl.Int16, "val_seen": pl.String, "val_rest": pl.String, "dt_month": pl.String}
)
NEW = pl.Schema(
    {
        "id_user": pl.String,
        "n_rating": pl.Int32,
        "tm_seen": pl.Datetime("us", "UTC"),
        "n_letters": pl.Int32,
        "val_later": pl.String,
        "dt_month": pl.String,
    }
)
KNOWN = (
    Migration(
        2,
        "users have ids, ratings have room, and times are times",
        (
            Change(
                TABLE,
                (
                    Renamed("name", "id_user"),
                    Retyped("n_rating", pl.Int32()),
                    Renamed("val_seen", "tm_seen"),
                    Retyped("tm_seen", NEW["tm_seen"], pl.col("tm_seen").str.to_datetime(time_zone="UTC")),
                    Added("n_letters", pl.Int32(), pl.col("id_user").str.len_chars()),
                    Dropped("val_rest"),
                ),
            ),
        ),
    ),
    Migration(3, "something comes later", (Change(TABLE, (Added("val_later", pl.String()),)),)),
)


def old_rows(month: str, count: int = 3) -> pl.DataFrame:
    """Users anna0, anna1, … of a month, as the old code wrote them."""
    return pl.DataFrame(
        {
            "name": [f"anna{number}" for number in range(count)],
            "n_rating": [1500 + number for number in range(count)],
            "val_seen": [f"{month}-01T12:00:0{number}Z" for number in range(count)],
            "val_rest": ["x"] * count,
            "dt_month": [month] * count,
        },
        OLD,
    )


def write_old(uri: str) -> Lake:
    """A lake of the old code: a file a month, and in the last month a page with a cursor."""
    lake = Lake(uri=uri)
    for month in MONTHS:
        lake.overwrite(TABLE, lambda month=month: [old_rows(month)], OLD, month, note={"from": month})
    lake.append(TABLE, old_rows(MONTHS[-1]), OLD, Cursor("anna", 7, None))
    return lake


def migrate(uri: str, told: Connection) -> None:
    """Bring the lake up to date; says so once for each file that was written anew."""
    list(Migrations(Lake(uri=uri), KNOWN).run(lambda _: told.send("file")))
    told.send("done")
