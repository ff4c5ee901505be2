-- opening_results over all games at once: what its monthly partials must add up to
SELECT opening.val_eco, opening.val_opening_family AS val_family, games.val_speed,
    count(*) AS n_games,
    count(*) FILTER (val_result = '1-0') AS n_white_wins,
    count(*) FILTER (val_result = '1/2-1/2') AS n_draws,
    count(*) FILTER (val_result = '0-1') AS n_black_wins,
    100 * (count(*) FILTER (val_result = '1-0') + 0.5 * count(*) FILTER (val_result = '1/2-1/2')) / count(*)
        AS n_white_score_pct,
    avg((n_rating_white + n_rating_black) / 2) AS n_rating_mean,
    avg(n_plies) AS n_plies_mean
FROM analytics.opening AS opening JOIN chess.games AS games USING (id_game, dt_month)
WHERE val_result <> '*' AND val_variant = 'standard'
    AND opening.val_eco IS NOT NULL AND opening.val_opening_family IS NOT NULL
GROUP BY ALL
ORDER BY ALL
