"""The network of opponents: edges, nodes and distances, against a search written anew in plain Python."""

from collections import defaultdict
from datetime import timedelta
from random import Random

import polars as pl
import pytest

from kshift_assets.chess.marts import opponent_distances, opponent_network, opponent_nodes
from tests.mart_tables import NOON, add_partials, game, games_in_a_row, lake_of, made, row, values

PATH = [("ann", "bob"), ("bob", "cyd"), ("cyd", "dee"), ("dee", "eve"), ("eve", "flo"), ("gus", "hal")]


def test_an_edge_is_a_pair_with_the_games_of_both_colours():
    games = [
        *games_in_a_row("1-0", "1/2-1/2"),
        game("bob", "ann", "0-1", NOON + timedelta(days=1), ind_rated=False),
        game("ann", None),
        game("ann", "ann"),
        game("bob", "cyd", "*"),
    ]
    (edge,) = made(opponent_network.mart, lake_of(games)).to_dicts()
    assert (edge["id_user"], edge["id_opponent"]) == ("ann", "bob")
    assert (edge["n_games"], edge["n_games_rated"], edge["n_points"]) == (3, 2, 2.5)
    assert (edge["tm_first"], edge["tm_last"]) == (NOON, NOON + timedelta(days=1))


def test_nodes_know_their_degree_component_and_way_to_the_nearest_tracked_player():
    lake = lake_of([game(*pair) for pair in [*PATH, ("ann", "bob")]], tracked=["ann", "flo", "met_nobody"])
    nodes = made(opponent_nodes.mart, lake)
    assert values(nodes, "n_opponents", "n_games", id_user="bob") == (2, 3)
    assert values(nodes, "id_component", "n_component_players", id_user="eve") == ("ann", 6)
    assert values(nodes, "id_component", "n_component_players", id_user="hal") == ("gus", 2)
    steps = {user: values(nodes, "n_steps_tracked", "id_user_tracked", id_user=user) for user in ("bob", "dee", "flo")}
    assert steps == {"bob": (1, "ann"), "dee": (2, "flo"), "flo": (0, "flo")}
    assert values(nodes, "n_steps_tracked", "id_user_tracked", id_user="gus") == (None, None)


def test_distances_go_up_to_four_steps_from_each_tracked_player():
    distances = made(opponent_distances.mart, lake_of([game(*pair) for pair in PATH], tracked=["ann", "dee", "nobody"]))
    from_ann = dict(distances.filter(id_user_tracked="ann").select("id_user", "n_steps").iter_rows())
    assert from_ann == {"ann": 0, "bob": 1, "cyd": 2, "dee": 3, "eve": 4}
    from_dee = dict(distances.filter(id_user_tracked="dee").select("id_user", "n_steps").iter_rows())
    assert from_dee == {"dee": 0, "cyd": 1, "eve": 1, "bob": 2, "flo": 2, "ann": 3}


@pytest.mark.parametrize("mart", [opponent_network.mart, opponent_nodes.mart, opponent_distances.mart])
def test_a_lake_without_pairs_has_no_network(mart):
    assert made(mart, lake_of([game("ann", None)], tracked=["ann"])).height == 0
    assert made(mart, lake_of([], tracked=[])).height == 0


@pytest.mark.parametrize("seed", range(4))
def test_any_network_is_searched_as_plain_python_searches_it(seed: int):
    random = Random(seed)
    players = [f"p{number:02}" for number in range(60)]
    pairs = [random.sample(players, 2) for _ in range(random.choice([25, 45, 90]))]
    tracked = random.sample(players, 5)
    lake = lake_of([game(*pair) for pair in pairs], tracked)
    nodes = made(opponent_nodes.mart, lake)
    around = defaultdict(set)
    for one, other in pairs:
        around[one].add(other)
        around[other].add(one)
    assert set(nodes["id_user"]) == set(around)
    steps = {user: walk(around, user) for user in around}
    distances = made(opponent_distances.mart, lake)
    for node in nodes.to_dicts():
        user = node["id_user"]
        assert node["n_opponents"] == len(around[user])
        assert node["id_component"] == min(steps[user])
        assert node["n_component_players"] == len(steps[user])
        reached = {start: steps[user][start] for start in tracked if start in steps[user]}
        assert node["n_steps_tracked"] == min(reached.values(), default=None)
        assert (node["id_user_tracked"] is None) == (not reached)
        assert not reached or reached[node["id_user_tracked"]] == node["n_steps_tracked"]
        near = {start: number for start, number in reached.items() if number <= 4}
        assert dict(distances.filter(id_user=user).select("id_user_tracked", "n_steps").iter_rows()) == near


def walk(around: dict[str, set[str]], start: str) -> dict[str, int]:
    """Everybody within reach → steps, level by level."""
    steps, level = {start: 0}, {start}
    while level:
        level = {other for user in level for other in around[user]} - set(steps)
        steps |= dict.fromkeys(level, max(steps.values()) + 1)
    return steps


def test_only_the_hundred_tracked_players_with_most_games_have_distances(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(opponent_distances, "MOST_PLAYERS", 1)
    lake = lake_of([game(*pair) for pair in PATH], tracked=["ann", "dee"])
    lake.execute("UPDATE lichess.players_frontier SET n_games_stored = 7 WHERE id_user = 'dee'")
    add_partials(opponent_distances.mart, lake)
    found = pl.concat(opponent_distances.mart.rows(lake))
    assert set(found["id_user_tracked"]) == {"dee"}
    assert row(found, id_user="flo")["n_steps"] == 2
