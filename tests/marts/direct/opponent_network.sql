-- opponent_network over all games at once: what its monthly partials must add up to
SELECT least(id_user_white, id_user_black) AS id_user,
    greatest(id_user_white, id_user_black) AS id_opponent,
    count(*) AS n_games,
    count(*) FILTER (ind_rated) AS n_games_rated,
    sum(CASE val_result WHEN '1/2-1/2' THEN 0.5 WHEN if(id_user_white < id_user_black, '1-0', '0-1') THEN 1 ELSE 0 END)
        AS n_points,
    min(tm_created) AS tm_first,
    max(tm_created) AS tm_last
FROM chess.games
WHERE val_result <> '*' AND id_user_white <> id_user_black
GROUP BY ALL
ORDER BY ALL
