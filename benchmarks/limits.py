"""What no pipeline can beat, as work to measure: unpacking a dump, and writing its rows, alone."""

from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import zstandard
from measuring import temporary_folder

Work = Callable[[], int]
CHUNK_BYTES = 1 << 20
GROUP_ROWS = 50_000


def unpack(dump: str) -> Work:
    """Unpack a dump and throw it away; tells its bytes."""
    return lambda: sum(map(len, chunks(dump)))


def chunks(dump: str) -> Iterator[bytes]:
    """The bytes of a dump, unpacked."""
    with (
        Path(dump).open("rb") as file,
        zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as text,
    ):
        while chunk := text.read(CHUNK_BYTES):
            yield chunk


def write_with_polars(dump: str) -> Work:
    """Write the rows of a dump that has been read, all columns."""
    rows, target = _rows(dump), temporary_folder() / "rows.parquet"

    def work() -> int:
        rows.write_parquet(target, compression="zstd", row_group_size=GROUP_ROWS)
        return rows.height

    return work


def write_with_pyarrow(dump: str) -> Work:
    """The same, with the other library."""
    rows, target = _rows(dump).to_arrow(compat_level=pl.CompatLevel.oldest()), temporary_folder() / "rows.parquet"

    def work() -> int:
        pq.write_table(rows, target, compression="zstd", row_group_size=GROUP_ROWS)
        return rows.num_rows

    return work


def _rows(dump: str) -> pl.DataFrame:
    from kshift_assets.chess.pgn import read_games  # noqa: PLC0415  # unpacking does without, and is small

    return pl.concat(read_games(chunks(dump)))
