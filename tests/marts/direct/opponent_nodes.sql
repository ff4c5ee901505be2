-- opponent_nodes over all games at once: what its monthly partials must add up to
WITH sides AS (
    SELECT id_user_white AS id_user, id_user_black AS id_opponent FROM chess.games WHERE val_result <> '*'
    UNION ALL
    SELECT id_user_black, id_user_white FROM chess.games WHERE val_result <> '*'
),
pairs AS (
    SELECT id_user, id_opponent, count(*) AS n_games FROM sides WHERE id_user <> id_opponent GROUP BY ALL
),
degrees AS (
    SELECT id_user, count(*) AS n_opponents, sum(n_games) AS n_games FROM pairs GROUP BY ALL
)
SELECT id_user, n_opponents, n_games, id_component,
    count(*) OVER (PARTITION BY id_component) AS n_component_players,
    n_steps AS n_steps_tracked, id_user_tracked
FROM degrees JOIN network_nodes USING (id_user)
ORDER BY id_user
