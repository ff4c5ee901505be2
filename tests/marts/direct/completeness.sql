-- completeness over all games at once: what its monthly partials must add up to
WITH player_games AS (
    SELECT id_game, tm_created, dt_game, val_speed, val_perf, ind_rated, val_termination = 'Time forfeit' AND val_status IS DISTINCT FROM 'timeout' AS is_on_time, if(is_white, 'white', 'black') AS val_color, CASE val_result WHEN '1/2-1/2' THEN 0.5 WHEN if(is_white, '1-0', '0-1') THEN 1 ELSE 0 END::DOUBLE AS n_points, if(is_white, id_user_white, id_user_black) AS id_user, if(is_white, n_rating_white, n_rating_black) AS n_rating, if(is_white, n_rating_diff_white, n_rating_diff_black) AS n_rating_diff, if(is_white, id_user_black, id_user_white) AS id_opponent, if(is_white, n_rating_black, n_rating_white) AS n_rating_opponent, arr_clock_cs IS NOT NULL AS has_clocks, games.arr_eval_cp IS NOT NULL OR games.arr_eval_mate IS NOT NULL AS has_evaluations, engine_eval.arr_eval_cp IS NOT NULL OR engine_eval.arr_eval_mate IS NOT NULL AS has_engine, opening.val_eco IS NOT NULL AS has_opening
    FROM chess.games AS games
    LEFT JOIN analytics.opening AS opening USING (id_game, dt_month)
    LEFT JOIN analytics.engine_eval AS engine_eval USING (id_game, dt_month)
    CROSS JOIN (VALUES (true), (false)) AS side (is_white)
    WHERE val_result <> '*' AND if(is_white, id_user_white, id_user_black) IS NOT NULL
),
stored AS (
    SELECT id_user, coalesce(perf, 'all') AS val_perf,
        count(*) AS n_games,
        if(val_perf = 'all', count(*) FILTER (tm_created <= tm_facts),
            count(*) FILTER (tm_created <= tm_facts AND ind_rated)) AS n_games_compared,
        100 * avg(has_clocks::INTEGER) AS n_clocks_pct,
        100 * avg(has_evaluations::INTEGER) AS n_evaluations_pct,
        100 * avg((has_engine AND NOT has_evaluations)::INTEGER) AS n_evaluations_engine_pct,
        100 * avg(has_opening::INTEGER) AS n_openings_pct,
        min(tm_created) AS tm_first,
        max(tm_created) AS tm_last
    FROM (SELECT * RENAME (val_perf AS perf) FROM player_games)
    LEFT JOIN (SELECT id_user, tm_facts FROM chess.players) USING (id_user)
    GROUP BY GROUPING SETS ((id_user, perf), (id_user))
),
profiles AS (
    SELECT id_user, unnest([{'val_perf': 'all', 'n_games_profile': n_games}, {'val_perf': 'ultraBullet', 'n_games_profile': n_games_ultra_bullet}, {'val_perf': 'bullet', 'n_games_profile': n_games_bullet}, {'val_perf': 'blitz', 'n_games_profile': n_games_blitz}, {'val_perf': 'rapid', 'n_games_profile': n_games_rapid}, {'val_perf': 'classical', 'n_games_profile': n_games_classical}, {'val_perf': 'correspondence', 'n_games_profile': n_games_correspondence}, {'val_perf': 'chess960', 'n_games_profile': n_games_chess960}, {'val_perf': 'crazyhouse', 'n_games_profile': n_games_crazyhouse}, {'val_perf': 'antichess', 'n_games_profile': n_games_antichess}, {'val_perf': 'atomic', 'n_games_profile': n_games_atomic}, {'val_perf': 'horde', 'n_games_profile': n_games_horde}, {'val_perf': 'kingOfTheHill', 'n_games_profile': n_games_king_of_the_hill}, {'val_perf': 'racingKings', 'n_games_profile': n_games_racing_kings}, {'val_perf': 'threeCheck', 'n_games_profile': n_games_three_check}], recursive := true)
    FROM chess.players SEMI JOIN stored USING (id_user)
)
SELECT id_user, val_perf,
    CASE WHEN n_games_profile IS NULL THEN 'unknown'
        WHEN 100 * coalesce(n_games_compared, 0) >= 99 * n_games_profile THEN 'complete'
        ELSE 'partial' END AS val_badge,
    coalesce(stored.n_games, 0) AS n_games,
    coalesce(n_games_compared, 0) AS n_games_compared,
    n_games_profile,
    100 * coalesce(n_games_compared, 0) / nullif(n_games_profile, 0) AS n_stored_pct,
    tm_facts AS tm_profile,
    n_clocks_pct, n_evaluations_pct, n_evaluations_engine_pct, n_openings_pct, stored.tm_first, stored.tm_last
FROM stored
FULL JOIN (SELECT * FROM profiles WHERE n_games_profile IS NOT NULL) USING (id_user, val_perf)
LEFT JOIN (SELECT id_user, tm_facts FROM chess.players) USING (id_user)
WHERE stored.n_games > 0 OR n_games_profile > 0
ORDER BY ALL
