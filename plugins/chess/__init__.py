"""Analytics of chess games: each file that does not begin with `_` is one, and becomes one table."""
