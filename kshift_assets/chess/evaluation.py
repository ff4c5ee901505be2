"""Judgments of moves as a source writes them → as the site gives them. The definitions are the plugins'."""

import polars as pl

from plugins.chess_rules.arrays import Array, flat, values_of
from plugins.chess_rules.evaluation import GLYPHS, judge, read_evaluations

JUDGMENTS = {"Inaccuracy": "?!", "Mistake": "?", "Blunder": "??"}
"""Name of a judgment in the API → its glyph in PGN."""


def site_glyphs(games: pl.DataFrame) -> pl.Series:
    """`arr_glyph` by the site's rule, for games whose glyphs say only *that* a move was judged.

    Monthly dumps mark the same moves as the site, but with the severity of an older rule (lichess-org/database
    Advice.scala). So a glyph of the file is the gate, and its severity is worked out anew from the evaluations before
    and after; where one of them is missing the file's glyph stays. Files of 2022 marked falls from 0.09 on as well:
    what the site of today would not mark has no glyph. Other glyphs (`!`) are no judgments, and go too.

    `games` needs arr_eval_cp, arr_eval_mate, arr_glyph and val_initial_fen; the evaluations may be null. Where lists
    differ in length the glyphs stay as they are.
    """
    lists, n_plies = ("arr_eval_cp", "arr_eval_mate", "arr_glyph"), pl.col("arr_glyph").list.len()
    marked = pl.col("arr_glyph").list.drop_nulls().list.len() > 0
    aligned = pl.all_horizontal(pl.col(name).list.len() == n_plies for name in lists)
    numbered = games.select(
        *(pl.coalesce(name, pl.lit(None).repeat_by(n_plies)) for name in lists), "val_initial_fen"
    ).with_row_index("n_row")
    judged = numbered.filter(marked & aligned)
    severities = judge(read_evaluations(judged), _severities(flat(judged.get_column("arr_glyph"))))
    glyphs = (
        judged.select("n_row", "arr_glyph")
        .explode("arr_glyph")
        .with_columns(arr_glyph=pl.Series(severities).replace_strict(_GLYPHS, default=None, return_dtype=pl.String))
        .group_by("n_row", maintain_order=True)
        .agg("arr_glyph")
    )
    return numbered.select("n_row", "arr_glyph").update(glyphs, on="n_row").get_column("arr_glyph")


_GLYPHS = {severity: glyph for glyph, severity in GLYPHS.items()}


def _severities(glyphs: pl.Series) -> Array:
    return values_of(glyphs.replace_strict(GLYPHS, default=0, return_dtype=pl.Int8).fill_null(0))
