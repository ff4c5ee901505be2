"""The recorded games: Lichess's answers of each, and what the cleaned layer makes of them, as documents and as PGN."""

from collections.abc import Iterator, Mapping
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import polars as pl

from kshift_assets.chess.cleaning import from_documents, from_dump
from kshift_assets.chess.seen_games import SOURCE
from tests.game_rows import documents_of, dump_rows_of_pgn, player_rows, unpacked
from tests.recordings import RECORDINGS

LICHESS = RECORDINGS / "lichess"
DOCUMENTS = ("api_games/*", "api_games_via_berserk/*", "api_recorded/*/game_*", "api_recorded/*/Games/*game*")
EXPORTS = ("pgn_exports/*", "pgn_snapshots/*")
DUMPS = ("dumps/*standard*",)

Document = dict[str, Any]


def files(*patterns: str) -> list[Path]:
    """The recordings whose paths fit."""
    return sorted(chain.from_iterable(LICHESS.glob(pattern) for pattern in patterns))


@cache
def documents() -> Mapping[str, Document]:
    """Every recorded game by its id; of several recordings the one that tells most."""
    richest: dict[str, Document] = {}
    for path in files(*DOCUMENTS):
        for document in documents_of(path):
            known = richest.get(document["id"])
            if known is None or _richness(document) > _richness(known):
                richest[document["id"]] = document
    return richest


def _richness(document: Document) -> tuple[bool, bool, bool, int]:
    return "analysis" in document, "division" in document, "opening" in document, len(document)


@cache
def games() -> pl.DataFrame:
    """Rows of chess.games of these documents."""
    cleaned, rejected = from_documents(player_rows(documents().values()))
    assert rejected.height == 0, rejected.get_column("val_reasons").to_list()
    return seen(cleaned)


@cache
def games_of_pgn(*patterns: str) -> tuple[pl.DataFrame, Mapping[str, list[str | None]]]:
    """Rows of chess.games of PGN files, read as if they were dumps; and by game the glyphs that the files have."""
    cleaned, glyphs = [], {}
    for path in files(*patterns):
        rows = dump_rows_of_pgn(unpacked(path), path.name)
        cleaned.append(from_dump(rows)[0])
        glyphs |= dict(rows.drop_nulls("id_game").select("id_game", "arr_glyph").iter_rows())
    return seen(pl.concat(cleaned).unique("id_game", keep="first", maintain_order=True)), glyphs


@cache
def twins() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Games that were recorded twice: as documents, and in the PGN that Lichess wrote of them; in one order."""
    by_id = documents()
    exported = [dump_rows_of_pgn(unpacked(path), path.name) for path in files(*EXPORTS)]
    inside = "".join(document["pgn"] for document in by_id.values() if "pgn" in document)
    exported.append(dump_rows_of_pgn(inside.encode(), "inside.pgn"))
    dump, _ = from_dump(pl.concat(exported))
    api = games()
    both = api.select("id_game").join(dump.select("id_game").unique(), on="id_game", maintain_order="left")
    return (
        both.join(api, on="id_game", maintain_order="left"),
        seen(both.join(dump, on="id_game", maintain_order="left")),
    )


def seen(cleaned: pl.DataFrame) -> pl.DataFrame:
    """The rows as an analytic sees them."""
    evaluated = pl.col("arr_eval_cp").is_not_null()
    return cleaned.with_columns(pl.when(evaluated).then(pl.lit("lichess")).alias(SOURCE))


def analysed_players() -> Iterator[tuple[str, str, Mapping[str, int]]]:
    """Game, colour, and what Lichess says of that player's moves, where it does."""
    for id_game, document in documents().items():
        for colour, player in document["players"].items():
            if "analysis" in player:
                yield id_game, colour, player["analysis"]
