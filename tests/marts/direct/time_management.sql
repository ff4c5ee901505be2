-- time_management over all games at once: what its monthly partials must add up to
WITH player_games AS (
    SELECT id_game, tm_created, dt_game, val_speed, val_perf, ind_rated, val_termination = 'Time forfeit' AND val_status IS DISTINCT FROM 'timeout' AS is_on_time, if(is_white, 'white', 'black') AS val_color, CASE val_result WHEN '1/2-1/2' THEN 0.5 WHEN if(is_white, '1-0', '0-1') THEN 1 ELSE 0 END::DOUBLE AS n_points, if(is_white, id_user_white, id_user_black) AS id_user, if(is_white, n_rating_white, n_rating_black) AS n_rating, if(is_white, n_rating_diff_white, n_rating_diff_black) AS n_rating_diff, if(is_white, n_think_mean_s_white, n_think_mean_s_black) AS n_think_mean_s, if(is_white, ind_time_trouble_white, ind_time_trouble_black) AS ind_time_trouble, if(is_white, n_moves_time_trouble_white, n_moves_time_trouble_black) AS n_moves_time_trouble, if(is_white, ind_berserk_white, ind_berserk_black) AS ind_berserk, if(is_white, n_think_opening_s_white, n_think_opening_s_black) AS n_think_opening_s, if(is_white, n_think_middlegame_s_white, n_think_middlegame_s_black) AS n_think_middlegame_s, if(is_white, n_think_endgame_s_white, n_think_endgame_s_black) AS n_think_endgame_s, if(is_white, id_user_black, id_user_white) AS id_opponent, if(is_white, n_rating_black, n_rating_white) AS n_rating_opponent, if(is_white <> coalesce(contains(val_initial_fen, ' b '), false), 1, 2) AS first_ply, n_plies, n_middlegame_ply, n_endgame_ply, n_plies_opening IS NOT NULL AS has_phases, id_tournament, hour(tm_created) AS hour_utc
    FROM chess.games AS games
    LEFT JOIN analytics.time_usage AS time_usage USING (id_game, dt_month)
    LEFT JOIN analytics.phases AS phases USING (id_game, dt_month)
    CROSS JOIN (VALUES (true), (false)) AS side (is_white)
    WHERE val_result <> '*' AND if(is_white, id_user_white, id_user_black) IS NOT NULL
),
timed AS (
    SELECT *,
        greatest(0, ((greatest(0, coalesce(n_middlegame_ply, n_endgame_ply, n_plies + 1) - 1) - first_ply + 2) // 2 - (0 - first_ply + 2) // 2) - 1) AS opening_moves,
        ((greatest(0, coalesce(n_endgame_ply, n_plies + 1) - 1) - first_ply + 2) // 2 - (greatest(0, coalesce(n_middlegame_ply, n_endgame_ply, n_plies + 1) - 1) - first_ply + 2) // 2) AS middlegame_moves,
        ((n_plies - first_ply + 2) // 2 - (greatest(0, coalesce(n_endgame_ply, n_plies + 1) - 1) - first_ply + 2) // 2) AS endgame_moves
    FROM player_games
)
SELECT id_user, val_speed, hour_utc AS n_hour_utc,
    count(*) AS n_games,
    count(*) FILTER (n_points = 1) AS n_wins,
    count(*) FILTER (n_points = 0.5) AS n_draws,
    count(*) FILTER (n_points = 0) AS n_losses,
    round(100 * avg(n_points), 4) AS n_score_pct,
    count(n_think_mean_s) AS n_games_timed,
    round(avg(n_think_mean_s), 4) AS n_think_mean_s,
    round(sum(n_think_opening_s) / nullif(sum(opening_moves) FILTER (timed.n_think_opening_s IS NOT NULL), 0), 4) AS n_think_opening_s, round(sum(n_think_middlegame_s) / nullif(sum(middlegame_moves) FILTER (timed.n_think_middlegame_s IS NOT NULL), 0), 4) AS n_think_middlegame_s, round(sum(n_think_endgame_s) / nullif(sum(endgame_moves) FILTER (timed.n_think_endgame_s IS NOT NULL), 0), 4) AS n_think_endgame_s,
    100 * avg(ind_time_trouble::INTEGER) AS n_time_trouble_pct,
    avg(n_moves_time_trouble) AS n_moves_time_trouble_per_game,
    count(*) FILTER (is_on_time AND n_points = 0) AS n_losses_on_time,
    100 * n_losses_on_time / nullif(n_losses, 0) AS n_losses_on_time_pct,
    count(*) FILTER (is_on_time AND n_points = 1) AS n_wins_on_time,
    100 * n_wins_on_time / nullif(n_wins, 0) AS n_wins_on_time_pct,
    count(*) FILTER (ind_berserk) AS n_games_berserk,
    100 * n_games_berserk / nullif(count(ind_berserk) FILTER (id_tournament IS NOT NULL), 0) AS n_berserk_pct
FROM timed
GROUP BY GROUPING SETS ((id_user, val_speed), (id_user, val_speed, hour_utc))
ORDER BY id_user, val_speed, n_hour_utc NULLS FIRST
