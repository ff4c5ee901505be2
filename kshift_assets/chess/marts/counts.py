"""What the games of each month add up to: what marts account for, counted apart from them, and the newest game."""

from kshift_assets.chess.marts.partial import Partial

GAME_COUNTS = Partial(
    name="game_counts",
    sql="""
SELECT count(id_user_white) + count(id_user_black) AS n_sides,
    count(id_user_white) FILTER (val_result <> '*') + count(id_user_black) FILTER (val_result <> '*') AS n_sides_over,
    count(id_user_white) FILTER (val_result <> '*' AND val_variant = 'standard')
        + count(id_user_black) FILTER (val_result <> '*' AND val_variant = 'standard') AS n_sides_standard,
    count(id_user_white) FILTER (val_result <> '*' AND val_speed <> 'correspondence')
        + count(id_user_black) FILTER (val_result <> '*' AND val_speed <> 'correspondence') AS n_sides_live,
    count(*) FILTER (val_result <> '*' AND id_user_white <> id_user_black) AS n_meetings,
    max(tm_created) AS tm_last
FROM chess.games
""",
    reads=("chess.games",),
)


def counted(column: str, times: int = 1) -> str:
    """SQL that adds up a column over all months."""
    return f"SELECT coalesce(sum({column}), 0) * {times} FROM {GAME_COUNTS.view}"  # noqa: S608  # our own names
