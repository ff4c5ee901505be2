"""The cleaned layer on every real game that was recorded: what the API, dumps and exports really hold."""

import csv
import logging
import re
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from game_rows import documents_of, dump_rows_of_pgn, player_rows, unpacked

from kshift_assets.chess.cleaning import Tally, clean_month, from_documents, from_dump
from kshift_assets.chess.evaluation import site_glyphs
from recordings import RECORDINGS, needs_recordings

pytestmark = needs_recordings

LICHESS = RECORDINGS / "lichess"
LOG = logging.getLogger(__name__)

ONLY_THE_API_KNOWS = ("tm_last_move", "n_days_per_turn", "n_opening_ply")
DIFFERENT_BY_NATURE = ("id_game", "val_source", "tm_ingested")


def _files(*patterns: str) -> list[Path]:
    return sorted(chain.from_iterable(LICHESS.glob(pattern) for pattern in patterns))


def _name(path: Path) -> str:
    return f"{path.parent.name}-{_files(f'{path.parent.relative_to(LICHESS)}/*').index(path)}"


def _records(path: Path) -> int:
    with (LICHESS / "MANIFEST.tsv").open(encoding="utf-8") as manifest:
        lines = {line["file"]: line for line in csv.DictReader(manifest, delimiter="\t")}
    return int(lines[str(path.relative_to(LICHESS))]["records"])


def _report(path: Path, games: pl.DataFrame, rejected: pl.DataFrame) -> None:
    LOG.info("%s: %d games, %d plies", _name(path), games.height, games.get_column("n_plies").sum())
    for reason, n_rows in rejected.get_column("val_reasons").value_counts(sort=True).iter_rows():
        LOG.info("  rejected %d: %s", n_rows, reason[:200])


API_GAMES = _files("api_games/*", "api_games_via_berserk/*", "api_recorded/*/game_*", "api_recorded/*/Games/*game*")
LICHESS_PGN = _files("dumps/*standard*", "pgn_exports/*", "pgn_snapshots/*")
OTHER_PGN = _files("variants/*", "dumps/*one_game*", "broadcast/*")


@pytest.mark.parametrize("path", API_GAMES, ids=_name)
def test_every_document_becomes_a_game(path: Path) -> None:
    documents = documents_of(path)
    plies = {one["id"]: len(one["moves"].split()) for one in documents}

    games, rejected = from_documents(player_rows(documents))

    _report(path, games, rejected)
    assert len(documents) == _records(path)
    assert rejected.height == 0
    assert dict(games.select("id_game", "n_plies").iter_rows()) == plies


@pytest.mark.parametrize("path", LICHESS_PGN, ids=_name)
def test_every_game_of_a_lichess_file_is_kept_unless_nobody_says_whether_it_was_rated(path: Path) -> None:
    pgn = unpacked(path)
    heads = re.findall(rb'^\[Event "(.*)"\](?:\r?\n\[.*\])*', pgn, re.MULTILINE)
    texts = re.split(rb"^(?=\[Event )", pgn, flags=re.MULTILINE)[1:]
    unsaid = [
        head
        for head, text in zip(heads, texts, strict=True)
        if b"RatingDiff" not in text
        and not re.match(rb"(?i)rated|casual", head)
        and b"_rated_" not in path.name.encode()
    ]

    games, rejected = from_dump(dump_rows_of_pgn(pgn, path.name))

    _report(path, games, rejected)
    assert games.height + rejected.height == _records(path)
    assert rejected.height == len(unsaid)
    assert set(rejected.get_column("val_reasons").str.slice(0, 39)) <= {"val_event: says neither rated nor casual"[:39]}


@pytest.mark.parametrize("path", OTHER_PGN, ids=_name)
def test_no_game_of_a_foreign_file_is_lost_and_none_stays_without_an_id(path: Path) -> None:
    rows = dump_rows_of_pgn(unpacked(path), path.name)

    games, rejected = from_dump(rows)

    _report(path, games, rejected)
    assert games.height + rejected.height == rows.height
    assert rejected.filter(pl.col("val_text").str.len_chars() < 20).height == 0
    ids = {one.decode() for one in re.findall(rb"lichess\.org/(\w{8})\"", unpacked(path))}
    assert set(games.get_column("id_game")) <= ids


@cache
def _pairs() -> list[tuple[list[dict[str, Any]], bytes]]:
    """The same games twice: the API's documents, and the PGN that Lichess wrote of them."""
    exported = [
        (documents_of(api), unpacked(pgn))
        for pgn in _files("pgn_exports/*")
        if (api := LICHESS / "api_games" / f"user_{pgn.stem}.ndjson").exists()
    ]
    found = [documents for path in _files("api_games/*") if "pgn" in (documents := documents_of(path))[0]]
    return exported + [(documents, "".join(one["pgn"] for one in documents).encode()) for documents in found]


@pytest.mark.parametrize(
    ("number", "n_games", "some_known"),
    [
        (0, 235, {"arr_clock_cs", "arr_eval_cp", "arr_eval_mate", "arr_glyph", "val_eco", "val_opening"}),
        (1, 52, {"val_initial_fen", "n_ai_level_black"}),
        (2, 841, {"val_initial_fen", "n_ai_level_black"}),
    ],
)
def test_a_dump_and_the_api_tell_the_same_of_a_game_where_both_know(
    number: int, n_games: int, some_known: set[str]
) -> None:
    documents, pgn = _pairs()[number]
    api, _ = from_documents(player_rows(documents))
    dump, rejected = from_dump(dump_rows_of_pgn(pgn, "export.pgn"))
    seconds = pl.col("arr_clock_cs").list.eval((pl.element() + 50) // 100 * 100)

    both = api.with_columns(seconds, pl.col("tm_created").dt.truncate("1s")).join(dump, on="id_game", suffix="_dump")

    assert both.height + rejected.height == n_games
    compared = set()
    for name in sorted(set(api.columns) - {*DIFFERENT_BY_NATURE}):
        known = both.filter(pl.col(name).is_not_null() & pl.col(f"{name}_dump").is_not_null())
        different = known.filter(pl.col(name).ne_missing(pl.col(f"{name}_dump")))
        LOG.info("%s: both know it of %d games", name, known.height)
        assert different.select("id_game", name, f"{name}_dump").rows() == [], name
        compared |= {name} if known.height else set()
    assert compared >= some_known | {"val_status", "val_termination", "val_speed", "n_rating_white", "tm_created"}
    assert compared.isdisjoint(ONLY_THE_API_KNOWS)
    analysed = [pl.col(name).is_not_null() for name in ("arr_eval_cp", "arr_eval_cp_dump")]
    assert both.filter(analysed[0] != analysed[1]).height == 0


def test_the_dump_takes_nothing_from_a_month_of_the_api_and_adds_only_what_it_lacked() -> None:
    documents, pgn = _pairs()[0]
    players, dump = player_rows(documents), dump_rows_of_pgn(pgn, "export.pgn")
    alone, _ = from_documents(players)
    cleaned, tally = [], Tally()

    for month in sorted(set(dump.get_column("dt_month"))):
        of_month = pl.col("dt_month") == month
        batches = dump.filter(of_month).iter_slices(10)
        cleaned += [games for games, _ in clean_month(players.filter(of_month), batches, tally)]

    assert pl.concat(cleaned).sort("id_game").equals(alone.sort("id_game"))
    assert (tally.n_games, tally.n_merged, tally.n_rejected, tally.n_lost) == (235, 235, 0, 0)


def test_the_recomputed_judgments_are_those_of_the_site_on_every_move() -> None:
    frames = [from_documents(player_rows(documents_of(path)))[0] for path in API_GAMES]
    games = pl.concat(frames).filter(pl.col("arr_glyph").is_not_null()).unique("id_game")
    for gate in ("?!", "?", "??"):
        somewhere = pl.when(pl.element().is_not_null()).then(pl.lit(gate))
        gated = games.with_columns(pl.col("arr_glyph").list.eval(somewhere))

        judged = site_glyphs(gated).explode()

        site = games.get_column("arr_glyph").explode()
        LOG.info("%d plies, %d judged", len(site), site.is_not_null().sum())
        assert len(site) > 223_000
        assert site.is_not_null().sum() > 53_000
        assert judged.equals(site.alias(judged.name))


def test_two_fetches_of_the_same_games_give_each_game_once_in_its_newest_form() -> None:
    first, again = (documents_of(path) for path in _files("api_games/*_clocks_[ab].ndjson"))
    older, newer = player_rows(first), player_rows(again).with_columns(pl.col("tm_ingested").dt.offset_by("1d"))

    games, rejected = from_documents(pl.concat([newer, older]))

    assert (games.height, rejected.height) == (10, 0)
    assert games.get_column("val_opening").to_list() == [
        {one["id"]: one["opening"]["name"] for one in again}[id_game] for id_game in games.get_column("id_game")
    ]
    alone, _ = from_documents(older)
    same = [name for name in games.columns if name not in ("val_eco", "val_opening", "n_opening_ply", "tm_ingested")]
    assert games.select(same).sort("id_game").equals(alone.select(same).sort("id_game"))


def test_an_example_that_contradicts_itself_is_rejected_with_the_reason() -> None:
    (path,) = _files("doc_examples/*/game_json.json")

    games, rejected = from_documents(player_rows(documents_of(path)))

    assert games.height == 0
    assert rejected.get_column("val_reasons").to_list() == ["val_result fits val_status"]
