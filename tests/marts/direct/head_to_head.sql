-- head_to_head over all games at once: what its monthly partials must add up to
WITH player_games AS (
    SELECT id_game, tm_created, dt_game, val_speed, val_perf, ind_rated, val_termination = 'Time forfeit' AND val_status IS DISTINCT FROM 'timeout' AS is_on_time, if(is_white, 'white', 'black') AS val_color, CASE val_result WHEN '1/2-1/2' THEN 0.5 WHEN if(is_white, '1-0', '0-1') THEN 1 ELSE 0 END::DOUBLE AS n_points, if(is_white, id_user_white, id_user_black) AS id_user, if(is_white, n_rating_white, n_rating_black) AS n_rating, if(is_white, n_rating_diff_white, n_rating_diff_black) AS n_rating_diff, if(is_white, id_user_black, id_user_white) AS id_opponent, if(is_white, n_rating_black, n_rating_white) AS n_rating_opponent
    FROM chess.games AS games
    CROSS JOIN (VALUES (true), (false)) AS side (is_white)
    WHERE val_result <> '*' AND if(is_white, id_user_white, id_user_black) IS NOT NULL
),
meetings AS (
    SELECT *, n_rating - n_rating_opponent AS difference, 1 / (1 + pow(10, -difference / 400)) AS expected
    FROM player_games
    WHERE id_opponent <> id_user
)
SELECT id_user, id_opponent, val_speed, val_color,
    count(*) AS n_games,
    count(*) FILTER (n_points = 1) AS n_wins,
    count(*) FILTER (n_points = 0.5) AS n_draws,
    count(*) FILTER (n_points = 0) AS n_losses,
    round(100 * avg(n_points), 4) AS n_score_pct,
    count(difference) AS n_games_expected,
    avg(difference) AS n_rating_difference,
    round(100 * avg(expected), 4) AS n_score_expected_pct,
    round(100 * avg(n_points - expected), 4) AS n_score_surplus_pct,
    min(tm_created) AS tm_first,
    max(tm_created) AS tm_last,
    max((tm_created, id_game))[2] AS id_game_last
FROM meetings
GROUP BY ALL
ORDER BY ALL
