-- player_sessions over all games at once: what its monthly partials must add up to
WITH player_games AS (
    SELECT id_game, tm_created, dt_game, val_speed, val_perf, ind_rated, val_termination = 'Time forfeit' AND val_status IS DISTINCT FROM 'timeout' AS is_on_time, if(is_white, 'white', 'black') AS val_color, CASE val_result WHEN '1/2-1/2' THEN 0.5 WHEN if(is_white, '1-0', '0-1') THEN 1 ELSE 0 END::DOUBLE AS n_points, if(is_white, id_user_white, id_user_black) AS id_user, if(is_white, n_rating_white, n_rating_black) AS n_rating, if(is_white, n_rating_diff_white, n_rating_diff_black) AS n_rating_diff, if(is_white, n_accuracy_white, n_accuracy_black) AS n_accuracy, if(is_white, id_user_black, id_user_white) AS id_opponent, if(is_white, n_rating_black, n_rating_white) AS n_rating_opponent, n_clock_initial_s AS initial_s, coalesce(n_clock_increment_s, 0) AS increment_s, n_plies, arr_clock_cs[-1] + arr_clock_cs[-2] AS left_cs, tm_last_move
    FROM chess.games AS games
    LEFT JOIN analytics.accuracy AS accuracy USING (id_game, dt_month)
    CROSS JOIN (VALUES (true), (false)) AS side (is_white)
    WHERE val_result <> '*' AND if(is_white, id_user_white, id_user_black) IS NOT NULL
),
games AS (
    SELECT *,
        greatest(tm_created, coalesce(tm_last_move, tm_created + to_seconds(greatest(0, coalesce(
            2 * initial_s + increment_s * n_plies - left_cs / 100,
            (initial_s + 40 * increment_s) * least(2, n_plies / 40),
            0
        ))))) AS tm_ended
    FROM player_games
    WHERE val_speed <> 'correspondence'
),
following AS (
    SELECT *,
        max(tm_ended) OVER before AS free_since,
        lag(tm_ended) OVER play AS previous_ended,
        lag(n_points) OVER play AS previous_points
    FROM games
    WINDOW play AS (PARTITION BY id_user ORDER BY tm_created, id_game, val_color),
        before AS (PARTITION BY id_user ORDER BY tm_created, id_game, val_color
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
),
begun AS (
    SELECT *, coalesce(tm_created - free_since >= INTERVAL 30 MINUTE, true) AS is_first
    FROM following
),
numbered AS (
    SELECT * REPLACE (if(is_first, NULL, previous_points) AS previous_points),
        if(is_first, NULL, greatest(0, epoch(tm_created) - epoch(previous_ended))) AS pause_s,
        count(*) FILTER (is_first) OVER play AS session,
        count(*) FILTER (is_first OR n_points IS DISTINCT FROM previous_points) OVER play AS streak,
        -- a hasty run goes on while games are lost, each begun at once after another loss
        count(*) FILTER (is_first OR n_points <> 0 OR previous_points <> 0 OR pause_s > 60) OVER play AS run
    FROM begun
    WINDOW play AS (PARTITION BY id_user ORDER BY tm_created, id_game, val_color)
),
counted AS (
    SELECT *,
        count(*) OVER (PARTITION BY id_user, streak) AS streak_games,
        count(*) FILTER (n_points = 0) OVER (PARTITION BY id_user, run) AS run_losses
    FROM numbered
)
SELECT id_user,
    min(tm_created) AS tm_started,
    max(tm_ended) AS tm_ended,
    bool_or(tm_last_move IS NULL) AS ind_end_estimated,
    count(*) AS n_games,
    count(*) FILTER (n_points = 1) AS n_wins,
    count(*) FILTER (n_points = 0.5) AS n_draws,
    count(*) FILTER (n_points = 0) AS n_losses,
    round(100 * avg(n_points), 4) AS n_score_pct,
    sum(n_rating_diff) AS n_rating_change,
    coalesce(max(streak_games) FILTER (n_points = 1), 0) AS n_streak_wins,
    coalesce(max(streak_games) FILTER (n_points = 0), 0) AS n_streak_losses,
    round(avg(n_accuracy), 4) AS n_accuracy_mean,
    round(avg(n_accuracy) FILTER (previous_points = 1), 4) AS n_accuracy_after_win,
    round(avg(n_accuracy) FILTER (previous_points = 0), 4) AS n_accuracy_after_loss,
    round(avg(pause_s) FILTER (previous_points = 1), 4) AS n_pause_after_win_s,
    round(avg(pause_s) FILTER (previous_points = 0), 4) AS n_pause_after_loss_s,
    bool_or(run_losses >= 3) AS ind_tilt,
    arg_min(id_game, (tm_created, id_game)) AS id_game_first,
    arg_max(id_game, (tm_created, id_game)) AS id_game_last
FROM counted
GROUP BY id_user, session
ORDER BY id_user, tm_started
