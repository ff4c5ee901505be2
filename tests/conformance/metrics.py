"""What is compared with Lichess's own answers, metric by metric. Ours are those of the plugins on the cleaned layer."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import polars as pl

from kshift_assets.chess.seen_games import COLUMNS
from plugins import Plugin, discover
from tests.conformance import openings
from tests.conformance.recorded import (
    DUMPS,
    EXPORTS,
    analysed_players,
    documents,
    games,
    games_of_pgn,
    twins,
)

Answer = tuple[str, str, object, object]
"""Game, what of it (a colour, a ply, …), ours, theirs."""
JUDGMENTS = {"inaccuracy": "inaccuracies", "mistake": "mistakes", "blunder": "blunders"}
GLYPHS = {"?!": "inaccuracies", "?": "mistakes", "??": "blunders"}
MUST_BE_EQUAL = frozenset(
    {
        "judgment of a move",
        "number of inaccuracies",
        "number of mistakes",
        "number of blunders",
        "average centipawn loss",
        "accuracy",
        "division into phases",
        "same games as PGN: counts and ACPL",
        "same games as PGN: accuracy",
    }
)
"""Metrics in which a difference is a fault of ours."""
_NOT_OF_THIS_GAME = (
    "the recording is a text from another project's tests, shortened by hand: it names ply 42 of a game of 38 plies"
)
_MARKED_FROM_009_ON = "the exporter of 2022 marked falls from 0.09 on; the site of today begins at 0.1"
WHY = {
    ("division into phases", "qVChCOTc"): _NOT_OF_THIS_GAME,
    ("dumps: marked move is judged", None): _MARKED_FROM_009_ON,
}
"""Why a game differs in a metric, or all games that do."""
OF_EVALUATIONS = ("judgments", "acpl", "accuracy", "comeback", "largest_swing", "phases")
"""Analytics that a dump can tell to the last digit. Their thinking times it cannot: its clocks show whole seconds."""


@dataclass
class Metric:
    """One row of the report."""

    name: str
    unit: str
    n_games: int = 0
    n_compared: int = 0
    differences: list[Answer] = field(default_factory=list)

    def why(self, id_game: str) -> str | None:
        """The explanation of a difference, where there is one."""
        return WHY.get((self.name, id_game)) or WHY.get((self.name, None))

    @property
    def unexplained(self) -> list[Answer]:
        """Differences for which nobody knows a reason."""
        return [answer for answer in self.differences if self.why(answer[0]) is None]

    @property
    def n_equal(self) -> int:
        """Answers that are the same."""
        return self.n_compared - len(self.differences)


def metric(name: str, unit: str, answers: Iterable[Answer]) -> Metric:
    """Count the answers."""
    counted, ids = Metric(name, unit), set()
    for answer in answers:
        ids.add(answer[0])
        counted.n_compared += 1
        if answer[2] != answer[3]:
            counted.differences.append(answer)
    counted.n_games = len(ids)
    return counted


@cache
def plugins() -> Mapping[str, Plugin]:
    """All plugins by name."""
    return {plugin.name: plugin for plugin in discover(COLUMNS)}


def rows(name: str, of: pl.DataFrame) -> dict[str, dict[str, Any]]:
    """What a plugin says of the games to which it applies, by id. An error of any game is an error here."""
    results = plugins()[name].run(of)
    errors = results.get_column("val_error").drop_nulls()
    assert errors.is_empty(), errors.to_list()
    applicable = results.filter(pl.col("val_not_applicable").is_null())
    return {row["id_game"]: row for row in applicable.iter_rows(named=True)}


@cache
def ours(name: str) -> dict[str, dict[str, Any]]:
    """The same of all recorded documents."""
    return rows(name, games())


def by_ply(judged: Mapping[str, Any]) -> dict[int, str]:
    """Ply → kind of fault, of a row of analytics.judgments."""
    return {
        ply: kind
        for kind in JUDGMENTS.values()
        for colour in ("white", "black")
        for ply in judged[f"arr_ply_{kind}_{colour}"]
    }


def judgments_of_moves() -> Iterator[Answer]:
    """Every ply that Lichess analysed."""
    for id_game, document in documents().items():
        if "analysis" in document:
            found = by_ply(ours("judgments")[id_game])
            for ply, entry in enumerate(document["analysis"], 1):
                name = entry.get("judgment", {}).get("name")
                yield id_game, f"ply {ply}", found.get(ply), JUDGMENTS.get((name or "").lower())


def counts(kind: str) -> Iterator[Answer]:
    """How many moves of a side were judged so."""
    for id_game, colour, theirs in analysed_players():
        yield id_game, colour, ours("judgments")[id_game][f"n_{JUDGMENTS[kind]}_{colour}"], theirs[kind]


def losses() -> Iterator[Answer]:
    """Average centipawn loss of a side."""
    for id_game, colour, theirs in analysed_players():
        yield id_game, colour, ours("acpl")[id_game][f"n_acpl_{colour}"], theirs["acpl"]


def accuracies(of: Callable[[], Mapping[str, Mapping[str, Any]]]) -> Iterator[Answer]:
    """Accuracy of a side: Lichess tells it rounded."""
    found = of()
    for id_game, colour, theirs in analysed_players():
        if "accuracy" in theirs and id_game in found:
            yield id_game, colour, int(found[id_game][f"n_accuracy_{colour}"] + 0.5), theirs["accuracy"]


def divisions() -> Iterator[Answer]:
    """The first plies of middlegame and endgame."""
    for id_game, document in documents().items():
        if "division" in document and id_game in ours("phases"):
            row = ours("phases")[id_game]
            for ply, name in (("n_middlegame_ply", "middle"), ("n_endgame_ply", "end")):
                yield id_game, name, row[ply], document["division"].get(name)


def glyphs_of_exports() -> Iterator[Answer]:
    """Every evaluated ply of PGN that the site exported: its glyphs follow the site's rule."""
    exported, glyphs = games_of_pgn(*EXPORTS)
    marked = exported.filter(pl.col("arr_glyph").list.drop_nulls().list.len() > 0)
    for id_game, row in rows("judgments", marked).items():
        found = by_ply(row)
        for ply, glyph in enumerate(glyphs[id_game], 1):
            yield id_game, f"ply {ply}", found.get(ply), GLYPHS.get(glyph or "")


def marks_of_dumps() -> Iterator[Answer]:
    """Every ply of real dumps that has a glyph: whether the site of today judges it, in whatever way."""
    dump, glyphs = games_of_pgn(*DUMPS)
    marked = dump.filter(pl.col("arr_eval_cp").is_not_null())
    for id_game, row in rows("judgments", marked).items():
        found = by_ply(row)
        game = dump.row(by_predicate=pl.col("id_game") == id_game, named=True)
        for ply, glyph in enumerate(glyphs[id_game] or (), 1):
            if glyph in GLYPHS:
                yield id_game, f"ply {ply}", "judged" if ply in found else f"a fall of {_fall(game, ply)}", "judged"


def _fall(game: Mapping[str, Any], ply: int) -> str:
    """By how much the winning chances fell, from -1 to 1, in words; reckoned here once more."""
    before, after = game["arr_eval_cp"][ply - 2] if ply > 1 else 15, game["arr_eval_cp"][ply - 1]
    if before is None or after is None:
        return "a mate"
    chances = [2 / (1 + math.exp(-0.00368208 * cp)) - 1 for cp in (before, after)]
    return f"{abs(chances[0] - chances[1]):.4f}"


@cache
def _judged_twins() -> dict[str, dict[str, dict[str, Any]]]:
    return {name: rows(name, twins()[1]) for name in ("judgments", "acpl", "accuracy")}


def counts_of_dump_form() -> Iterator[Answer]:
    """Counts of judged moves and losses, from the PGN of games whose documents carry Lichess's numbers."""
    found = _judged_twins()
    for id_game, colour, theirs in analysed_players():
        if id_game in found["judgments"]:
            for kind, column in JUDGMENTS.items():
                ours_ = found["judgments"][id_game][f"n_{column}_{colour}"]
                yield id_game, f"{colour}'s {column}", ours_, theirs[kind]
            yield id_game, f"{colour}'s ACPL", found["acpl"][id_game][f"n_acpl_{colour}"], theirs["acpl"]


def same_of_both_forms(name: str) -> Iterator[Answer]:
    """The row of an analytic, from the PGN of a game and from its document; what no PGN can tell is left out."""
    api, dump = (rows(name, of) for of in twins())
    for id_game in api.keys() & dump.keys():
        for column in plugins()[name].columns.names()[1:]:
            if not column.startswith("n_think"):
                yield id_game, column, dump[id_game][column], api[id_game][column]


def _openings() -> Iterator[Metric]:
    for when, new in ((f"games since {openings.NEW}", True), ("older games", False)):
        for column, what in (("val_eco", "ECO"), ("val_opening", "name"), ("n_opening_ply", "plies")):
            yield metric(f"opening from the moves, {when}: {what}", "games", openings.answers(column, new=new))


def report() -> list[Metric]:
    """All rows of the report."""
    return [
        metric("judgment of a move", "plies", judgments_of_moves()),
        *(metric(f"number of {plural}", "sides", counts(kind)) for kind, plural in JUDGMENTS.items()),
        metric("average centipawn loss", "sides", losses()),
        metric("accuracy", "sides", accuracies(lambda: ours("accuracy"))),
        metric("division into phases", "borders", divisions()),
        *_openings(),
        metric("PGN of the site: glyph of a move", "plies", glyphs_of_exports()),
        metric("dumps: marked move is judged", "plies", marks_of_dumps()),
        metric("same games as PGN: counts and ACPL", "numbers", counts_of_dump_form()),
        metric("same games as PGN: accuracy", "sides", accuracies(lambda: _judged_twins()["accuracy"])),
        *(
            metric(f"same games as PGN: analytics.{name}", "values", same_of_both_forms(name))
            for name in OF_EVALUATIONS
        ),
    ]
