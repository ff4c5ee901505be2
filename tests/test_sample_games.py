"""The sample's games: legal, timed and judged like real ones?"""

import itertools
import json
import math
import statistics
from collections import Counter, defaultdict

import chess
from sample_files import GAMES, Document, n_plies, start_of, users_of

from recordings import RECORDINGS, needs_recordings


def test_every_game_is_legal_and_ends_on_the_board_as_its_status_says():
    ways_to_draw = Counter()
    for game in GAMES:
        board = start_of(game)
        for san in game["moves"].split():
            board.push_san(san)
        assert board.is_checkmate() == (game["status"] == "mate"), game["id"]
        by_rule = board.is_variant_end() and not board.is_checkmate()
        assert (board.is_stalemate() and not by_rule) == (game["status"] == "stalemate"), game["id"]
        assert by_rule == (game["status"] == "variantEnd"), game["id"]
        if game["status"] in ("mate", "variantEnd"):
            assert board.result() == {"white": "1-0", "black": "0-1", None: "1/2-1/2"}[game.get("winner")], game["id"]
        if game["status"] in ("resign", "outoftime", "timeout"):
            unwinnable = game["status"] != "resign" and "winner" not in game
            assert game.get("winner") == (None if unwinnable else chess.COLOR_NAMES[not board.turn]), game["id"]
            assert not unwinnable or board.has_insufficient_material(not board.turn), game["id"]
        if game["status"] == "draw":
            ways_to_draw["insufficient"] += board.is_insufficient_material()
            ways_to_draw["repetition"] += board.is_repetition(3)
            ways_to_draw["fifty"] += board.halfmove_clock >= 100
            ways_to_draw["agreed"] += not (
                board.is_insufficient_material() or board.is_repetition(3) or board.halfmove_clock >= 100
            )
    assert min(ways_to_draw[way] for way in ("insufficient", "repetition", "fifty", "agreed")) >= 3


def test_a_winner_is_named_exactly_where_the_status_has_one():
    winners = {status: set() for status in {game["status"] for game in GAMES}}
    for game in GAMES:
        winners[game["status"]].add(game.get("winner"))
    assert winners["draw"] == winners["stalemate"] == winners["aborted"] == {None}
    assert winners["mate"] == winners["resign"] == winners["noStart"] == {"white", "black"}
    assert winners["outoftime"] == winners["timeout"] == {"white", "black", None}


def test_clocks_are_aligned_to_the_plies_and_run_down_as_the_time_control_says():
    for game in GAMES:
        clocks, plies = game.get("clocks", []), n_plies(game)
        if "clock" not in game:
            assert not clocks
            continue
        beyond = {"resign": {1}, "outoftime": {1}, "timeout": {1}, "draw": {0, 1}}.get(game["status"], {0})
        assert len(clocks) - plies in beyond, game["id"]
        if game["status"] == "outoftime":
            assert clocks[-1] == 0
        whole, increment = game["clock"]["initial"] * 100 + 3, game["clock"]["increment"] * 100
        assert all(clock in (whole, game["clock"]["initial"] * 50 + 3) for clock in clocks[:2])
        assert all(0 <= after <= before + increment for before, after in itertools.pairwise(clocks[0:plies:2]))
        assert all(0 <= after <= before + increment for before, after in itertools.pairwise(clocks[1:plies:2]))
        estimate = game["clock"]["initial"] + 40 * game["clock"]["increment"]
        limits = ((29, "ultraBullet"), (179, "bullet"), (479, "blitz"), (1499, "rapid"), (21_599, "classical"))
        assert game["speed"] == next(speed for limit, speed in limits if estimate <= limit)
        assert game["clock"]["totalTime"] == estimate


def test_nobody_plays_two_games_on_a_clock_at_once():
    busy_until: dict[str, int] = {}
    for game in GAMES:
        if "clock" in game:
            for user in users_of(game):
                assert busy_until.get(user, 0) <= game["createdAt"], game["id"]
                busy_until[user] = game["lastMoveAt"]


def test_an_opening_is_a_position_that_the_game_went_through():
    names = defaultdict(set)
    for game in GAMES:
        if "opening" in game:
            assert 0 < game["opening"]["ply"] <= n_plies(game)
            board = start_of(game)
            for san in game["moves"].split()[: game["opening"]["ply"]]:
                board.push_san(san)
            names[board.epd()].add((game["opening"]["eco"], game["opening"]["name"]))
        else:
            assert n_plies(game) == 0 or game["variant"] not in ("standard", "threeCheck", "kingOfTheHill")
    assert len(names) >= 60
    assert all(len(found) == 1 for found in names.values())


def clipped(entry: Document) -> int:
    return max(-1000, min(1000, entry["eval"])) if "eval" in entry else 1000 * (1 if entry["mate"] > 0 else -1)


def judged(before: Document, after: Document, sign: int) -> str | None:
    """The site's judgment of a move (lila tree/Advice.scala), before it is asked whether a better one was known."""
    by_distance = lambda cp: "Inaccuracy" if cp > 999 else "Mistake" if cp > 700 else "Blunder"  # noqa: E731  # used twice
    mate_before, mate_after = (sign * entry.get("mate", 0) for entry in (before, after))
    if not mate_before and not mate_after:
        chances = [2 / (1 + math.exp(-0.00368208 * sign * entry["eval"])) for entry in (before, after)]
        drop = chances[0] - chances[1]
        return "Blunder" if drop >= 0.3 else "Mistake" if drop >= 0.2 else "Inaccuracy" if drop >= 0.1 else None
    if not mate_before and mate_after < 0:
        return by_distance(-sign * before["eval"])
    if mate_before > 0 and mate_after < 0:
        return "Blunder"
    if mate_before > 0 and not mate_after:
        return by_distance(sign * after["eval"])
    return None


def spread(values: list[float]) -> float:
    """The population's standard deviation; that of `statistics` is exact, and slow."""
    mean = sum(values) / len(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))


def reckoned(analysis: list[Document]) -> dict[str, Document]:
    """Both sides' numbers, from the evaluations alone (CHESS definitions of lila's AccuracyCP and AccuracyPercent)."""
    series = [{"eval": 15}, *analysis]
    wins = [100 / (1 + math.exp(-0.00368208 * clipped(entry))) for entry in series]
    size = min(8, max(2, len(analysis) // 10))
    spans = [(max(0, k - size + 2), max(size, k + 2)) for k in range(len(analysis))]
    weights = [min(12.0, max(0.5, spread(wins[a:b]))) for a, b in spans]
    sides = {}
    for side, first in (("white", 0), ("black", 1)):
        sign, plies = 1 - 2 * first, range(first, len(analysis), 2)
        names = [judged(series[k], series[k + 1], sign) for k in plies if "best" in series[k + 1]]
        losses = [max(0, sign * (clipped(series[k]) - clipped(series[k + 1]))) for k in plies]
        drops = [max(0.0, sign * (wins[k] - wins[k + 1])) for k in plies]
        accuracies = [
            min(100.0, max(0.0, 103.1668100711649 * math.exp(-0.04354415386753951 * drop) - 2.166924740191411))
            if drop
            else 100.0
            for drop in drops
        ]
        mean = sum(a * weights[k] for a, k in zip(accuracies, plies, strict=True)) / sum(weights[k] for k in plies)
        harmonic = statistics.harmonic_mean([max(1.0, a) for a in accuracies])
        sides[side] = {
            **{name.lower(): names.count(name) for name in ("Inaccuracy", "Mistake", "Blunder")},
            "acpl": math.floor(statistics.mean(losses) + 0.5),
            "accuracy": math.floor((mean + harmonic) / 2 + 0.5),
        }
    return sides


def assert_the_analysis_follows_from_the_evaluations(game: Document) -> None:
    expected = reckoned(game["analysis"])
    for side, player in game["players"].items():
        told = player["analysis"]
        assert told == {name: expected[side][name] for name in told}, game["id"]
    for ply, (before, after) in enumerate(itertools.pairwise([{"eval": 15}, *game["analysis"]])):
        name = judged(before, after, 1 - 2 * (ply % 2)) if "best" in after else None
        assert after.get("judgment", {}).get("name") == name, (game["id"], ply)


def test_numbers_and_judgments_follow_from_the_evaluations():
    analysed = [game for game in GAMES if "analysis" in game]
    assert len(analysed) >= 250
    for game in analysed:
        assert_the_analysis_follows_from_the_evaluations(game)
        assert {"inaccuracy", "mistake", "blunder", "acpl", "accuracy"} == set(game["players"]["white"]["analysis"])


@needs_recordings
def test_the_same_reckoning_gives_the_sites_numbers_on_real_games():
    lines = (RECORDINGS / "lichess/api_games/user_megaloblasto.ndjson").read_text().splitlines()
    real = [game for game in map(json.loads, lines) if "analysis" in game and game["variant"] == "standard"]
    assert len(real) > 40
    for game in real:
        assert_the_analysis_follows_from_the_evaluations(game)


def test_evaluations_are_those_of_the_plies_and_better_lines_can_be_played():
    n_mates_in_one = 0
    for game in GAMES:
        if "analysis" not in game:
            continue
        assert len(game["analysis"]) == n_plies(game) - (game["status"] == "mate")
        board = start_of(game)
        for san, entry in zip(game["moves"].split(), game["analysis"], strict=False):
            assert ("eval" in entry) != ("mate" in entry)
            if "best" in entry:
                line = board.copy(stack=False)
                first = line.push_san(entry["variation"].split()[0])
                assert board.uci(first, chess960=True) == entry["best"]
                assert first != board.parse_san(san)
                for word in entry["variation"].split()[1:]:
                    line.push_san(word)
            if "judgment" in entry:
                told = entry["judgment"]
                assert told["comment"].endswith(f" {entry['variation'].split()[0]} was best.")
                assert told["comment"].startswith(
                    (f"{told['name']}. ", "Checkmate is now unavoidable. ", "Lost forced ")
                )
            board.push_san(san)
            if entry.get("mate") == (1 if board.turn == chess.WHITE else -1):
                n_mates_in_one += 1
                assert any(map(_mates(board), board.legal_moves)), game["id"]
    assert n_mates_in_one >= 20


def _mates(board: chess.Board):
    def mates(move: chess.Move) -> bool:
        after = board.copy(stack=False)
        after.push(move)
        return after.is_checkmate()

    return mates
