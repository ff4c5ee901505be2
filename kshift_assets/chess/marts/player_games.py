"""SQL that several marts begin with: finished games from each player's side, and their results added up."""

from collections.abc import Sequence

PLACE = "epoch_us(tm_created)::HUGEINT * 18446744073709551616 + ('0x' || hex(id_game))::UBIGINT"
"""Orders games as `(tm_created, id_game)` does, by one number: ids are eight bytes long. DuckDB takes the first or the
last of a group by a number in half the time that it takes by such a pair."""


def player_games(sides: Sequence[str] = (), others: Sequence[str] = (), analytics: Sequence[str] = ()) -> str:
    """One row a finished game and player: who, against whom, with what result and rating.

    `sides` are further columns that games and `analytics` have for each side, named without it: `n_acpl` is the
    player's own of n_acpl_white and n_acpl_black. `others` are further expressions about the whole game. `is_on_time`
    tells that a clock ran out while both were there: PGN calls it time forfeit too when a player has left. `place`
    orders games by time and id, as PLACE does. Anonymous players and the computer have no rows, but who played them
    has. A game without a row in an analytic stays.
    """
    own = ("id_user", "n_rating", "n_rating_diff", *sides)
    columns = [
        "id_game",
        "tm_created",
        f"{PLACE} AS place",
        "dt_game",
        "val_speed",
        "val_perf",
        "ind_rated",
        "val_termination = 'Time forfeit' AND val_status IS DISTINCT FROM 'timeout' AS is_on_time",
        "if(is_white, 'white', 'black') AS val_color",
        "CASE val_result WHEN '1/2-1/2' THEN 0.5 WHEN if(is_white, '1-0', '0-1') THEN 1 ELSE 0 END::DOUBLE AS n_points",
        *(f"if(is_white, {name}_white, {name}_black) AS {name}" for name in own),
        "if(is_white, id_user_black, id_user_white) AS id_opponent",
        "if(is_white, n_rating_black, n_rating_white) AS n_rating_opponent",
        *others,
    ]
    joins = "".join(f"\n    LEFT JOIN analytics.{name} AS {name} USING (id_game, dt_month)" for name in analytics)
    return f"""SELECT {", ".join(columns)}
    FROM chess.games AS games{joins}
    CROSS JOIN (VALUES (true), (false)) AS side (is_white)
    WHERE val_result <> '*' AND if(is_white, id_user_white, id_user_black) IS NOT NULL"""  # noqa: S608  # our own names


RESULTS = """count(*) AS n_games,
    count(*) FILTER (n_points = 1) AS n_wins,
    count(*) FILTER (n_points = 0.5) AS n_draws,
    count(*) FILTER (n_points = 0) AS n_losses"""
"""The results of a group of player_games."""

RESULTS_ADDED = """sum(part.n_games)::BIGINT AS n_games,
    sum(part.n_wins)::BIGINT AS n_wins,
    sum(part.n_draws)::BIGINT AS n_draws,
    sum(part.n_losses)::BIGINT AS n_losses,
    round(100 * (sum(part.n_wins) + 0.5 * sum(part.n_draws)) / sum(part.n_games), 4) AS n_score_pct"""
"""The results of all months, from those of a partial that is called `part`."""
