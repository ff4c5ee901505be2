"""What one would take instead of KnightShift, as work to measure: each turns a dump into files with games and moves."""

import io
import itertools
import logging
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import chess.pgn
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard
from measuring import PEERS, temporary_folder

Work = Callable[[], int]
BATCH_GAMES = 20_000
CHUNK_BYTES = 4 << 20
TAGS = (
    "Event", "Site", "Date", "Round", "White", "Black", "Result", "UTCDate", "UTCTime", "WhiteElo", "BlackElo",
    "WhiteRatingDiff", "BlackRatingDiff", "WhiteTitle", "BlackTitle", "ECO", "Opening", "TimeControl", "Termination",
)  # fmt: skip  # a list to read across
PGN_EXTRACT = shutil.which("pgn-extract", path="/usr/local/bin:/usr/bin:/usr/games")


def texts(dump: str) -> Iterator[str]:
    """The games of a dump, one after the other."""
    held = ""
    with (
        Path(dump).open("rb") as file,
        zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as packed,
    ):
        text = io.TextIOWrapper(packed, encoding="utf-8")
        while chunk := text.read(CHUNK_BYTES):
            *whole, held = (held + chunk).split("\n\n[Event ")
            yield from (game if game.startswith("[Event ") else f"[Event {game}" for game in whole)
    if held.strip():
        yield held if held.startswith("[Event ") else f"[Event {held}"


def batches(dump: str) -> Iterator[list[str]]:
    """The same, some at a time."""
    games = texts(dump)
    while batch := list(itertools.islice(games, BATCH_GAMES)):
        yield batch


def python_chess(dump: str, number: int) -> Work:
    """python-chess reads the first so many games: tags, SAN, clocks, evaluations, glyphs; pyarrow writes them."""
    pgn = "\n\n".join(itertools.islice(texts(dump), number))
    target = temporary_folder() / "games.parquet"

    def work() -> int:
        file, rows = io.StringIO(pgn), []
        while game := chess.pgn.read_game(file):
            rows.append(_played(game))
        pq.write_table(pa.Table.from_pylist(rows), target, compression="zstd")
        return len(rows)

    return work


def _played(game: chess.pgn.Game) -> dict[str, Any]:
    row: dict[str, Any] = {**game.headers, "sans": [], "clocks": [], "cps": [], "mates": [], "glyphs": []}
    for node in game.mainline():
        score = node.eval()
        white = score.white() if score else None
        row["sans"].append(node.san())
        row["clocks"].append(node.clock())
        row["cps"].append(white.score() if white else None)
        row["mates"].append(white.mate() if white else None)
        row["glyphs"].append(min(node.nags, default=None))
    return row


def rust_binding(dump: str) -> Work:
    """rust-pgn-reader-python-binding reads batches on all cores; its tags and its arrays by move go to Parquet."""
    sys.path.append(str(PEERS))
    import rust_pgn_reader_python_binding as rust  # noqa: PLC0415  # it is there only where one has asked for it

    target = temporary_folder() / "games.parquet"

    def work() -> int:
        return _write(target, (_table(chunk) for batch in batches(dump) for chunk in _parsed(rust, batch)))

    return work


def _parsed(rust: ModuleType, batch: list[str]) -> list[Any]:
    return rust.parse_games(pa.chunked_array([pa.array(batch)])).chunks


def _table(chunk: Any) -> pa.Table:  # noqa: ANN401  # a class that is there only where one has asked for it
    headers = chunk.headers
    offsets = pa.array(chunk.move_offsets.astype("int32"))
    columns = {tag: pa.array([one.get(tag) for one in headers], pa.string()) for tag in TAGS}
    for name in ("from_squares", "to_squares", "promotions", "clocks", "evals"):
        columns[name] = pa.ListArray.from_arrays(offsets, pa.array(getattr(chunk, name)))
    return pa.table(columns)


def duckdb_regexes(dump: str) -> Work:
    """DuckDB takes games apart by regular expressions; clocks and evaluations are lists without their moves."""
    target = temporary_folder() / "games.parquet"
    tags = ", ".join(f"""nullif(regexp_extract(text, '\\[{tag} "([^"]*)"', 1), '') AS {tag}""" for tag in TAGS)
    query = f"""
        SELECT {tags}, regexp_extract_all(text, '(?:^|[ .}}])([KQRBNa-hO][a-hxO1-8=KQRBN+#-]+)[?!]* \\{{', 1) AS sans,
            regexp_extract_all(text, '%clk (\\d+:\\d\\d:\\d\\d)', 1) AS clocks,
            regexp_extract_all(text, '%eval ([^\\]]+)', 1) AS evals
        FROM batch"""  # noqa: S608  # our own words

    def work() -> int:
        with duckdb.connect() as connection:
            return _write(target, (_asked(connection, query, batch) for batch in batches(dump)))

    return work


def _asked(connection: duckdb.DuckDBPyConnection, query: str, batch: list[str]) -> pa.Table:
    connection.register("batch", pa.table({"text": pa.array(batch)}))
    return connection.sql(query).to_arrow_table()


def _write(target: Path, tables: Iterable[pa.Table]) -> int:
    n_rows, writer = 0, None
    for table in tables:
        writer = writer or pq.ParquetWriter(target, table.schema, compression="zstd")
        writer.write_table(table)
        n_rows += table.num_rows
    if writer:
        writer.close()
    return n_rows


def pgn2data(dump: str, number: int) -> Work:
    """pgn2data turns the first so many games into two CSV files, of games and of moves."""
    sys.path.append(str(PEERS))
    from converter.pgn_data import PGNData  # noqa: PLC0415  # it is there only where one has asked for it

    logging.disable()
    folder = temporary_folder()
    pgn = folder / "games.pgn"
    pgn.write_text("\n\n".join(itertools.islice(texts(dump), number)) + "\n", encoding="utf-8")

    def work() -> int:
        PGNData(str(pgn), str(folder / "games")).export()
        return number

    return work


def pgn_extract(dump: str, number: int) -> Work:
    """pgn-extract replays the first so many games, and writes them as PGN again, checked."""
    folder = temporary_folder()
    pgn = folder / "games.pgn"
    pgn.write_text("\n\n".join(itertools.islice(texts(dump), number)) + "\n", encoding="utf-8")
    command = [str(PGN_EXTRACT), "-s", f"-o{folder / 'out.pgn'}", str(pgn)]

    def work() -> Callable[[], int]:
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603  # our own files
        return lambda: len(re.findall(rb"^\[Event ", (folder / "out.pgn").read_bytes(), re.MULTILINE))

    return work


def has_peers() -> bool:
    """Whether the packages to compare with are installed."""
    return (PEERS / "rust_pgn_reader_python_binding").is_dir() and (PEERS / "converter").is_dir()
