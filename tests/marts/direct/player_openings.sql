-- player_openings over all games at once: what its monthly partials must add up to
WITH player_games AS (
    SELECT id_game, tm_created, dt_game, val_speed, val_perf, ind_rated, val_termination = 'Time forfeit' AND val_status IS DISTINCT FROM 'timeout' AS is_on_time, if(is_white, 'white', 'black') AS val_color, CASE val_result WHEN '1/2-1/2' THEN 0.5 WHEN if(is_white, '1-0', '0-1') THEN 1 ELSE 0 END::DOUBLE AS n_points, if(is_white, id_user_white, id_user_black) AS id_user, if(is_white, n_rating_white, n_rating_black) AS n_rating, if(is_white, n_rating_diff_white, n_rating_diff_black) AS n_rating_diff, if(is_white, n_accuracy_white, n_accuracy_black) AS n_accuracy, if(is_white, n_acpl_white, n_acpl_black) AS n_acpl, if(is_white, id_user_black, id_user_white) AS id_opponent, if(is_white, n_rating_black, n_rating_white) AS n_rating_opponent, val_variant, opening.val_eco AS val_eco, opening.val_opening_family AS val_opening_family
    FROM chess.games AS games
    LEFT JOIN analytics.opening AS opening USING (id_game, dt_month)
    LEFT JOIN analytics.accuracy AS accuracy USING (id_game, dt_month)
    LEFT JOIN analytics.acpl AS acpl USING (id_game, dt_month)
    CROSS JOIN (VALUES (true), (false)) AS side (is_white)
    WHERE val_result <> '*' AND if(is_white, id_user_white, id_user_black) IS NOT NULL
),
openings AS (
    SELECT id_user, val_color, val_speed, val_eco, val_opening_family,
        count(*) AS n_games,
    count(*) FILTER (n_points = 1) AS n_wins,
    count(*) FILTER (n_points = 0.5) AS n_draws,
    count(*) FILTER (n_points = 0) AS n_losses,
    round(100 * avg(n_points), 4) AS n_score_pct,
        avg(n_rating_opponent) AS n_rating_opponents,
        round(100 * avg(n_points) FILTER (n_rating_opponent IS NOT NULL))::INTEGER AS rated_score_pct,
        round(avg(n_accuracy), 4) AS n_accuracy_mean,
        avg(n_acpl) AS n_acpl_mean,
        count(n_acpl) AS n_games_analysed,
        max(tm_created) AS tm_last
    FROM player_games
    WHERE val_variant = 'standard'
    GROUP BY ALL
)
SELECT *,
    n_rating_opponents
        + sign(rated_score_pct - 50) * [0, 7, 14, 21, 29, 36, 43, 50, 57, 65, 72, 80, 87, 95, 102, 110, 117, 125, 133, 141, 149, 158, 166, 175, 184, 193,202, 211, 220, 230, 240, 251, 262, 273, 284, 296, 309, 322, 336, 351, 366, 383, 401, 422, 444, 470, 501, 538, 589,677, 800][abs(rated_score_pct - 50) + 1] AS n_performance
FROM openings
ORDER BY id_user, val_color, val_speed, n_games DESC, val_eco, val_opening_family
