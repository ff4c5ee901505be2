-- peers over all games at once: what its monthly partials must add up to
WITH player_games AS (
    SELECT id_game, tm_created, dt_game, val_speed, val_perf, ind_rated, val_termination = 'Time forfeit' AND val_status IS DISTINCT FROM 'timeout' AS is_on_time, if(is_white, 'white', 'black') AS val_color, CASE val_result WHEN '1/2-1/2' THEN 0.5 WHEN if(is_white, '1-0', '0-1') THEN 1 ELSE 0 END::DOUBLE AS n_points, if(is_white, id_user_white, id_user_black) AS id_user, if(is_white, n_rating_white, n_rating_black) AS n_rating, if(is_white, n_rating_diff_white, n_rating_diff_black) AS n_rating_diff, if(is_white, n_accuracy_white, n_accuracy_black) AS n_accuracy, if(is_white, n_acpl_white, n_acpl_black) AS n_acpl, if(is_white, n_blunders_white, n_blunders_black) AS n_blunders, if(is_white, n_think_mean_s_white, n_think_mean_s_black) AS n_think_mean_s, if(is_white, ind_time_trouble_white, ind_time_trouble_black) AS ind_time_trouble, if(is_white, val_title_white, val_title_black) AS val_title, if(is_white, id_user_black, id_user_white) AS id_opponent, if(is_white, n_rating_black, n_rating_white) AS n_rating_opponent, val_variant
    FROM chess.games AS games
    LEFT JOIN analytics.accuracy AS accuracy USING (id_game, dt_month)
    LEFT JOIN analytics.acpl AS acpl USING (id_game, dt_month)
    LEFT JOIN analytics.judgments AS judgments USING (id_game, dt_month)
    LEFT JOIN analytics.time_usage AS time_usage USING (id_game, dt_month)
    CROSS JOIN (VALUES (true), (false)) AS side (is_white)
    WHERE val_result <> '*' AND if(is_white, id_user_white, id_user_black) IS NOT NULL
),
players AS (
    SELECT id_user, val_speed, n_rating // 200 * 200 AS n_rating_band, max(tm_created) AS tm_last,
        round(avg(n_accuracy), 6) AS accuracy_pct, count(n_accuracy) AS accuracy_pct_games, round(avg(n_acpl), 6) AS acpl, count(n_acpl) AS acpl_games, round(avg(n_blunders), 6) AS blunders_per_game, count(n_blunders) AS blunders_per_game_games, round(avg(n_think_mean_s), 6) AS seconds_per_move, count(n_think_mean_s) AS seconds_per_move_games, round(avg(100 * ind_time_trouble::INTEGER), 6) AS time_trouble_pct, count(100 * ind_time_trouble::INTEGER) AS time_trouble_pct_games, round(avg(100 * n_points), 6) AS score_pct, count(100 * n_points) AS score_pct_games
    FROM player_games
    WHERE val_variant = 'standard' AND n_rating IS NOT NULL AND val_title IS DISTINCT FROM 'BOT'
    GROUP BY ALL
),
facts AS (
    SELECT id_user, val_speed, n_rating_band, tm_last, unnest([{'val_metric': 'accuracy_pct', 'ind_more_is_better': true::BOOLEAN, 'n_value': accuracy_pct::DOUBLE, 'n_games': accuracy_pct_games}, {'val_metric': 'acpl', 'ind_more_is_better': false::BOOLEAN, 'n_value': acpl::DOUBLE, 'n_games': acpl_games}, {'val_metric': 'blunders_per_game', 'ind_more_is_better': false::BOOLEAN, 'n_value': blunders_per_game::DOUBLE, 'n_games': blunders_per_game_games}, {'val_metric': 'seconds_per_move', 'ind_more_is_better': NULL::BOOLEAN, 'n_value': seconds_per_move::DOUBLE, 'n_games': seconds_per_move_games}, {'val_metric': 'time_trouble_pct', 'ind_more_is_better': false::BOOLEAN, 'n_value': time_trouble_pct::DOUBLE, 'n_games': time_trouble_pct_games}, {'val_metric': 'score_pct', 'ind_more_is_better': true::BOOLEAN, 'n_value': score_pct::DOUBLE, 'n_games': score_pct_games}], recursive := true)
    FROM players
),
compared AS (
    SELECT * FROM facts WHERE n_games >= 10
),
medians AS (
    SELECT val_speed, n_rating_band, val_metric, median(n_value) AS n_median, count(*) AS n_players
    FROM compared
    GROUP BY ALL
)
SELECT *,
    n_players - 1 AS n_peers,
    100 * (rank() OVER lower - 1 + (count(*) OVER (PARTITION BY val_speed, n_rating_band, val_metric, n_value) - 1) / 2)
        / nullif(n_peers, 0) AS n_percentile
FROM compared JOIN medians USING (val_speed, n_rating_band, val_metric)
WINDOW lower AS (PARTITION BY val_speed, n_rating_band, val_metric ORDER BY n_value)
ORDER BY id_user, val_speed, n_rating_band, val_metric
