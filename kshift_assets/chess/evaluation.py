"""The site's judgment of moves: which of inaccuracy, mistake and blunder an evaluation's fall means. Nothing else."""

import polars as pl

START_CP = 15
"""The position before the first move, centipawns for White (scalachess core/eval.scala)."""
INACCURACY, MISTAKE, BLUNDER = "?!", "?", "??"
GLYPHS = {"Inaccuracy": INACCURACY, "Mistake": MISTAKE, "Blunder": BLUNDER}
"""Name of a judgment in the API → its glyph in PGN."""
FALLS = (0.1, 0.2, 0.3)
"""From such a fall of the winning chances on, a move is an inaccuracy, a mistake, a blunder."""
NEARLY_DECIDED_CP, DECIDED_CP = 700, 999
"""Beyond these, to lose one's mate or to run into one is a mistake only, an inaccuracy only."""


def winning_chances(cp: pl.Expr) -> pl.Expr:
    """From -1 (lost) to 1 (won) for the side whose centipawns they are, not clipped. Source: scalachess eval.scala."""
    return 2 / (1 + (-0.00368208 * cp).exp()) - 1


def judgment(cp_before: pl.Expr, mate_before: pl.Expr, cp: pl.Expr, mate: pl.Expr) -> pl.Expr:
    """Glyph that the site gives to a move, null for none. Source: lila tree/Advice.scala.

    All four from the mover's view: centipawns and moves to mate, before and after the move; mate 0 afterwards says
    that the move mates. Whether the engine would have played the same move, which the site asks first, is for the
    caller: only moves that carry a judgment already are worth asking about.
    """
    fall = winning_chances(cp_before) - winning_chances(cp)
    mated_now, mating_before = mate < 0, mate_before > 0
    sure = pl.lit(value=True)
    return (
        pl.when(cp_before.is_not_null() & cp.is_not_null())
        .then(_glyph(*(fall >= least for least in FALLS)))
        .when(cp_before.is_not_null() & mated_now)
        .then(_glyph(sure, cp_before >= -DECIDED_CP, cp_before >= -NEARLY_DECIDED_CP))
        .when(mating_before & (cp.is_not_null() | mated_now))
        .then(_glyph(sure, mated_now | (cp <= DECIDED_CP), mated_now | (cp <= NEARLY_DECIDED_CP)))
    )


def _glyph(inaccuracy: pl.Expr, mistake: pl.Expr, blunder: pl.Expr) -> pl.Expr:
    glyphs = pl.when(blunder).then(pl.lit(BLUNDER)).when(mistake).then(pl.lit(MISTAKE))
    return glyphs.when(inaccuracy).then(pl.lit(INACCURACY))


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
    judged = (
        numbered.lazy()
        .filter(marked & aligned)
        .with_columns(n_ply=pl.int_ranges(n_plies))
        .explode(*lists, "n_ply")
        .select("n_row", arr_glyph=_of_ply())
        .group_by("n_row", maintain_order=True)
        .agg("arr_glyph")
    )
    return numbered.lazy().select("n_row", "arr_glyph").update(judged, on="n_row").collect().get_column("arr_glyph")


def _of_ply() -> pl.Expr:
    first = pl.col("n_ply") == 0
    black_starts = pl.col("val_initial_fen").str.contains(" b ", literal=True).fill_null(value=False)
    side = pl.when((pl.col("n_ply") % 2 == 0) != black_starts).then(1).otherwise(-1)
    cp, mate, glyph = pl.col("arr_eval_cp").cast(pl.Int64), pl.col("arr_eval_mate").cast(pl.Int64), pl.col("arr_glyph")
    cp_before = pl.when(first).then(START_CP).otherwise(cp.shift(1))
    mate_before = pl.when(first).then(None).otherwise(mate.shift(1))
    known = (cp.is_not_null() | mate.is_not_null()) & (cp_before.is_not_null() | mate_before.is_not_null())
    judged = pl.when(known).then(judgment(side * cp_before, side * mate_before, side * cp, side * mate))
    return pl.when(glyph.is_in(list(GLYPHS.values()))).then(judged.otherwise(glyph))
