-- opponent_dossier over all games at once: what its monthly partials must add up to
WITH player_games AS (
    SELECT id_game, tm_created, dt_game, val_speed, val_perf, ind_rated, val_termination = 'Time forfeit' AND val_status IS DISTINCT FROM 'timeout' AS is_on_time, if(is_white, 'white', 'black') AS val_color, CASE val_result WHEN '1/2-1/2' THEN 0.5 WHEN if(is_white, '1-0', '0-1') THEN 1 ELSE 0 END::DOUBLE AS n_points, if(is_white, id_user_white, id_user_black) AS id_user, if(is_white, n_rating_white, n_rating_black) AS n_rating, if(is_white, n_rating_diff_white, n_rating_diff_black) AS n_rating_diff, if(is_white, ind_time_trouble_white, ind_time_trouble_black) AS ind_time_trouble, if(is_white, arr_ply_blunders_white, arr_ply_blunders_black) AS arr_ply_blunders, if(is_white, n_blunders_white, n_blunders_black) AS n_blunders, if(is_white, n_accuracy_opening_white, n_accuracy_opening_black) AS n_accuracy_opening, if(is_white, n_accuracy_middlegame_white, n_accuracy_middlegame_black) AS n_accuracy_middlegame, if(is_white, n_accuracy_endgame_white, n_accuracy_endgame_black) AS n_accuracy_endgame, if(is_white, id_user_black, id_user_white) AS id_opponent, if(is_white, n_rating_black, n_rating_white) AS n_rating_opponent, val_variant, if(is_white <> coalesce(contains(val_initial_fen, ' b '), false), 1, 2) AS first_ply, n_plies, n_middlegame_ply, n_endgame_ply, n_plies_opening IS NOT NULL AS has_phases, opening.val_opening_family AS family
    FROM chess.games AS games
    LEFT JOIN analytics.opening AS opening USING (id_game, dt_month)
    LEFT JOIN analytics.phases AS phases USING (id_game, dt_month)
    LEFT JOIN analytics.judgments AS judgments USING (id_game, dt_month)
    LEFT JOIN analytics.time_usage AS time_usage USING (id_game, dt_month)
    CROSS JOIN (VALUES (true), (false)) AS side (is_white)
    WHERE val_result <> '*' AND if(is_white, id_user_white, id_user_black) IS NOT NULL
),
tracked AS (
    SELECT id_user FROM lichess.players_frontier WHERE n_depth = 0
),
met AS (
    SELECT id_user, id_opponent, count(*) AS n_games,
    count(*) FILTER (n_points = 1) AS n_wins,
    count(*) FILTER (n_points = 0.5) AS n_draws,
    count(*) FILTER (n_points = 0) AS n_losses,
    round(100 * avg(n_points), 4) AS n_score_pct, max(tm_created) AS tm_last
    FROM player_games SEMI JOIN tracked USING (id_user)
    WHERE id_opponent <> id_user
    GROUP BY ALL
),
opponents AS (
    SELECT DISTINCT id_opponent AS id_user FROM met
),
theirs AS (
    SELECT * FROM player_games SEMI JOIN opponents USING (id_user)
),
families AS (
    SELECT id_user, val_color, family, count(*) AS n FROM theirs
    WHERE val_variant = 'standard' AND family IS NOT NULL
    GROUP BY ALL
),
openings_white AS (
    SELECT id_user,
        list(family ORDER BY n DESC, family)[:3] AS arr_openings_white,
        list(n ORDER BY n DESC, family)[:3] AS arr_n_openings_white
    FROM families WHERE val_color = 'white' GROUP BY id_user
),
openings_black AS (
    SELECT id_user,
        list(family ORDER BY n DESC, family)[:3] AS arr_openings_black,
        list(n ORDER BY n DESC, family)[:3] AS arr_n_openings_black
    FROM families WHERE val_color = 'black' GROUP BY id_user
),
analysed AS (
    SELECT id_user, len(list_filter(arr_ply_blunders, lambda ply: ply > 0 AND ply <= greatest(0, coalesce(n_middlegame_ply, n_endgame_ply, n_plies + 1) - 1))) AS blunders_opening, ((greatest(0, coalesce(n_middlegame_ply, n_endgame_ply, n_plies + 1) - 1) - first_ply + 2) // 2 - (0 - first_ply + 2) // 2) AS moves_opening, len(list_filter(arr_ply_blunders, lambda ply: ply > greatest(0, coalesce(n_middlegame_ply, n_endgame_ply, n_plies + 1) - 1) AND ply <= greatest(0, coalesce(n_endgame_ply, n_plies + 1) - 1))) AS blunders_middlegame, ((greatest(0, coalesce(n_endgame_ply, n_plies + 1) - 1) - first_ply + 2) // 2 - (greatest(0, coalesce(n_middlegame_ply, n_endgame_ply, n_plies + 1) - 1) - first_ply + 2) // 2) AS moves_middlegame, len(list_filter(arr_ply_blunders, lambda ply: ply > greatest(0, coalesce(n_endgame_ply, n_plies + 1) - 1) AND ply <= n_plies)) AS blunders_endgame, ((n_plies - first_ply + 2) // 2 - (greatest(0, coalesce(n_endgame_ply, n_plies + 1) - 1) - first_ply + 2) // 2) AS moves_endgame
    FROM theirs WHERE has_phases AND n_blunders IS NOT NULL
),
mistakes AS (
    SELECT id_user, count(*) AS n_games_analysed,
        100 * sum(blunders_opening) / nullif(sum(moves_opening), 0) AS n_blunders_opening_pct, 100 * sum(blunders_middlegame) / nullif(sum(moves_middlegame), 0) AS n_blunders_middlegame_pct, 100 * sum(blunders_endgame) / nullif(sum(moves_endgame), 0) AS n_blunders_endgame_pct
    FROM analysed GROUP BY id_user
),
facts AS (
    SELECT id_user,
        count(*) AS n_opponent_games,
        round(100 * avg(n_points), 4) AS n_opponent_score_pct,
        arg_max(n_rating, (tm_created, id_game)) FILTER (ind_rated) AS n_opponent_rating,
        round(avg(n_accuracy_opening), 4) AS n_accuracy_opening, round(avg(n_accuracy_middlegame), 4) AS n_accuracy_middlegame, round(avg(n_accuracy_endgame), 4) AS n_accuracy_endgame,
        100 * avg(ind_time_trouble::INTEGER) AS n_time_trouble_pct,
        100 * count(*) FILTER (n_points = 0 AND is_on_time)
            / nullif(count(*) FILTER (n_points = 0), 0) AS n_losses_on_time_pct
    FROM theirs GROUP BY id_user
),
circles AS (
    SELECT id_user, id_opponent AS id_common, count(*) AS n FROM theirs
    WHERE id_opponent IS NOT NULL AND id_opponent <> id_user
    GROUP BY ALL
),
common AS (
    SELECT met.id_user, circles.id_user AS id_opponent,
        count(*) AS n_common_opponents,
        list(id_common ORDER BY n DESC, id_common)[:10] AS arr_common_opponents
    FROM met
    JOIN circles ON circles.id_common = met.id_opponent
    WHERE circles.id_user <> met.id_user
    GROUP BY ALL
)
SELECT met.*, facts.* EXCLUDE (id_user),
    openings_white.* EXCLUDE (id_user), openings_black.* EXCLUDE (id_user),
    mistakes.* EXCLUDE (id_user, n_games_analysed),
    coalesce(n_games_analysed, 0) AS n_games_analysed,
    CASE greatest(n_blunders_opening_pct, n_blunders_middlegame_pct, n_blunders_endgame_pct)
        WHEN 0 THEN NULL WHEN n_blunders_opening_pct THEN 'opening' WHEN n_blunders_middlegame_pct THEN 'middlegame' WHEN n_blunders_endgame_pct THEN 'endgame'
        END AS val_weakest_phase,
    coalesce(n_common_opponents, 0) AS n_common_opponents,
    arr_common_opponents
FROM met
JOIN facts ON facts.id_user = met.id_opponent
LEFT JOIN openings_white ON openings_white.id_user = met.id_opponent
LEFT JOIN openings_black ON openings_black.id_user = met.id_opponent
LEFT JOIN mistakes ON mistakes.id_user = met.id_opponent
LEFT JOIN common ON common.id_user = met.id_user AND common.id_opponent = met.id_opponent
ORDER BY met.id_user, met.id_opponent
