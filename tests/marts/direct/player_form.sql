-- player_form over all games at once: what its monthly partials must add up to
WITH player_games AS (
    SELECT id_game, tm_created, dt_game, val_speed, val_perf, ind_rated, val_termination = 'Time forfeit' AND val_status IS DISTINCT FROM 'timeout' AS is_on_time, if(is_white, 'white', 'black') AS val_color, CASE val_result WHEN '1/2-1/2' THEN 0.5 WHEN if(is_white, '1-0', '0-1') THEN 1 ELSE 0 END::DOUBLE AS n_points, if(is_white, id_user_white, id_user_black) AS id_user, if(is_white, n_rating_white, n_rating_black) AS n_rating, if(is_white, n_rating_diff_white, n_rating_diff_black) AS n_rating_diff, if(is_white, n_accuracy_white, n_accuracy_black) AS n_accuracy, if(is_white, n_acpl_white, n_acpl_black) AS n_acpl, if(is_white, n_inaccuracies_white, n_inaccuracies_black) AS n_inaccuracies, if(is_white, n_mistakes_white, n_mistakes_black) AS n_mistakes, if(is_white, n_blunders_white, n_blunders_black) AS n_blunders, if(is_white, id_user_black, id_user_white) AS id_opponent, if(is_white, n_rating_black, n_rating_white) AS n_rating_opponent
    FROM chess.games AS games
    LEFT JOIN analytics.accuracy AS accuracy USING (id_game, dt_month)
    LEFT JOIN analytics.acpl AS acpl USING (id_game, dt_month)
    LEFT JOIN analytics.judgments AS judgments USING (id_game, dt_month)
    CROSS JOIN (VALUES (true), (false)) AS side (is_white)
    WHERE val_result <> '*' AND if(is_white, id_user_white, id_user_black) IS NOT NULL
),
days AS (
    SELECT id_user, val_perf, val_speed, dt_game,
        count(*) AS n_games,
        count(*) FILTER (n_points = 1) AS n_wins,
        count(*) FILTER (n_points = 0.5) AS n_draws,
        count(*) FILTER (n_points = 0) AS n_losses,
        arg_min(n_rating, (tm_created, id_game)) FILTER (ind_rated) AS rating_first,
        arg_max(n_rating + coalesce(n_rating_diff, 0), (tm_created, id_game)) FILTER (ind_rated) AS rating_last,
        min(n_rating) FILTER (ind_rated) AS rating_min,
        max(n_rating) FILTER (ind_rated) AS rating_max,
        sum(n_rating_opponent) AS opponents,
        count(n_rating_opponent) AS n_opponents,
        sum(n_accuracy) AS n_accuracy, count(n_accuracy) AS n_accuracy_games, sum(n_acpl) AS n_acpl, count(n_acpl) AS n_acpl_games, sum(n_inaccuracies) AS n_inaccuracies, count(n_inaccuracies) AS n_inaccuracies_games, sum(n_mistakes) AS n_mistakes, count(n_mistakes) AS n_mistakes_games, sum(n_blunders) AS n_blunders, count(n_blunders) AS n_blunders_games
    FROM player_games
    GROUP BY ALL
)
SELECT id_user, val_perf, val_speed, val_period,
    date_trunc(val_period, dt_game)::DATE AS dt_period,
    sum(days.n_games) AS n_games,
    sum(days.n_wins) AS n_wins,
    sum(days.n_draws) AS n_draws,
    sum(days.n_losses) AS n_losses,
    round(100 * (sum(days.n_wins) + 0.5 * sum(days.n_draws)) / sum(days.n_games), 4) AS n_score_pct,
    arg_min(rating_first, dt_game) AS n_rating_first,
    arg_max(rating_last, dt_game) AS n_rating_last,
    min(rating_min) AS n_rating_min,
    max(rating_max) AS n_rating_max,
    sum(opponents) / sum(n_opponents) AS n_rating_opponents,
    round(sum(n_accuracy) / sum(n_accuracy_games), 4) AS n_accuracy_mean,
    sum(n_acpl) / sum(n_acpl_games) AS n_acpl_mean,
    sum(n_inaccuracies) / sum(n_inaccuracies_games) AS n_inaccuracies_per_game, sum(n_mistakes) / sum(n_mistakes_games) AS n_mistakes_per_game, sum(n_blunders) / sum(n_blunders_games) AS n_blunders_per_game,
    sum(n_acpl_games) AS n_games_analysed,
    100 * sum(n_acpl_games) / sum(days.n_games) AS n_analysed_pct
FROM days CROSS JOIN (VALUES ('day'), ('week'), ('month')) AS periods (val_period)
GROUP BY id_user, val_perf, val_speed, val_period, dt_period
ORDER BY ALL
