-- player_summary over all games at once: what its monthly partials must add up to
WITH sides AS (
    SELECT id_user_white AS id_user, 'white' AS val_color, val_speed, val_result, val_result = '1-0' AS won,
        val_result = '0-1' AS lost, n_rating_white AS rating, n_rating_black AS opponent, ind_rated, tm_created, id_game
    FROM chess.games
    UNION ALL
    SELECT id_user_black, 'black', val_speed, val_result, val_result = '0-1',
        val_result = '1-0', n_rating_black, n_rating_white, ind_rated, tm_created, id_game
    FROM chess.games
)
SELECT id_user, val_speed, val_color,
    count(*) AS n_games,
    count(*) FILTER (won) AS n_wins,
    count(*) FILTER (val_result = '1/2-1/2') AS n_draws,
    count(*) FILTER (lost) AS n_losses,
    count(*) FILTER (val_result = '*') AS n_unfinished,
    100 * (count(*) FILTER (won) + 0.5 * count(*) FILTER (val_result = '1/2-1/2'))
        / nullif(count(*) FILTER (val_result <> '*'), 0) AS n_score_pct,
    min(rating) FILTER (ind_rated) AS n_rating_min,
    max(rating) FILTER (ind_rated) AS n_rating_max,
    arg_max(rating, (tm_created, id_game)) FILTER (ind_rated) AS n_rating_last,
    avg(opponent) AS n_rating_opponents,
    min(tm_created) AS tm_first,
    max(tm_created) AS tm_last
FROM sides
WHERE id_user IS NOT NULL
GROUP BY ALL
ORDER BY ALL
