"""The embedded sample: does it hold what it promises, and is it one world from file to file?"""

import itertools
import json
import re
import sys
from datetime import UTC, datetime

import pytest
from sample_files import BY_ID, DUMPED, GAMES, MONTHS, SAMPLE, n_plies, users_of, utc


def test_it_stays_small_enough_for_git():
    assert sum(path.stat().st_size for path in SAMPLE.iterdir() if path.is_file()) <= 6 * 2**20


def test_it_has_the_promised_number_of_games_players_and_months():
    assert len(GAMES) >= 1500
    assert len({user for game in GAMES for user in users_of(game)}) == 60
    assert {f"{utc(game['createdAt']):%Y-%m}" for game in GAMES} == {"2024-01", "2024-02", "2024-03", "2024-04"}
    assert 0.15 <= sum("analysis" in game for game in GAMES) / len(GAMES) <= 0.25


def test_no_handle_can_be_taken_for_a_persons():
    for game in GAMES:
        for side in game["players"].values():
            if "user" in side:
                assert side["user"]["id"] == side["user"]["name"].lower()
                assert re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,26}ks", side["user"]["id"])


def test_ids_are_unique_only_if_their_case_counts():
    assert len(BY_ID) == len(GAMES)
    assert all(re.fullmatch(r"[A-Za-z0-9]{8}", id_game) for id_game in BY_ID)
    assert len({id_game.lower() for id_game in BY_ID}) < len(GAMES)


def _drawn_by(status: str):
    return lambda game: game["status"] == status and "winner" not in game


ODD_CASES = {
    "against the computer": lambda g: any("aiLevel" in s and "rating" not in s for s in g["players"].values()),
    "against an anonymous player": lambda g: {} in g["players"].values(),
    "aborted": lambda g: g["status"] == "aborted",
    "no start": lambda g: g["status"] == "noStart" and g["moves"] == "" and g["createdAt"] == g["lastMoveAt"],
    "Chess960": lambda g: g["variant"] == "chess960" and "initialFen" in g and "opening" not in g,
    "from position": lambda g: g["variant"] == "fromPosition" and "initialFen" in g and not g["rated"],
    "antichess": lambda g: g["perf"] == "antichess",
    "three-check": lambda g: g["perf"] == "threeCheck",
    "won by the variant's rule": lambda g: g["status"] == "variantEnd",
    "correspondence with a limit": lambda g: "daysPerTurn" in g and "clock" not in g and "clocks" not in g,
    "correspondence without limit": lambda g: g["perf"] == "correspondence" and not {"clock", "daysPerTurn"} & set(g),
    "correspondence over weeks": lambda g: g["lastMoveAt"] - g["createdAt"] > 14 * 86_400_000,
    "mate": lambda g: g["status"] == "mate",
    "resignation": lambda g: g["status"] == "resign",
    "flag": lambda g: g["status"] == "outoftime" and "winner" in g,
    "draw on time": _drawn_by("outoftime"),
    "left": lambda g: g["status"] == "timeout" and "winner" in g,
    "left and yet drawn": _drawn_by("timeout"),
    "stalemate": _drawn_by("stalemate"),
    "draw": _drawn_by("draw"),
    "berserk": lambda g: any(c < 55 * g["clock"]["initial"] for c in g.get("clocks", [])[:2]) and "tournament" in g,
    "arena": lambda g: "tournament" in g and g["source"] == "arena",
    "swiss": lambda g: "swiss" in g and g["source"] == "swiss",
    "provisional": lambda g: any(s.get("provisional") for s in g["players"].values()),
    "title": lambda g: any("title" in s.get("user", {}) for s in g["players"].values()),
    "bot": lambda g: any(s.get("user", {}).get("title") == "BOT" for s in g["players"].values()),
    "flair": lambda g: any("flair" in s.get("user", {}) for s in g["players"].values()),
    "patron": lambda g: any(s.get("user", {}).get("patron") for s in g["players"].values()),
    "casual": lambda g: not g["rated"] and not any("ratingDiff" in s for s in g["players"].values()),
    "rated without difference": lambda g: (
        g["rated"] and g["status"] != "aborted" and not any("ratingDiff" in s for s in g["players"].values())
    ),
    "difference of 0": lambda g: any(s.get("ratingDiff") == 0 for s in g["players"].values()),
    "past midnight": lambda g: "clock" in g and utc(g["createdAt"]).date() < utc(g["lastMoveAt"]).date(),
    "into the next month, on a clock": lambda g: (
        "clock" in g and utc(g["createdAt"]).month < utc(g["lastMoveAt"]).month
    ),
    "better line without a judgment": lambda g: any("best" in e and "judgment" not in e for e in g.get("analysis", ())),
    "castling as the better move": lambda g: any(
        e.get("best") in ("e1h1", "e1a1", "e8h8", "e8a8") and e["variation"].startswith("O-O")
        for e in g.get("analysis", ())
    ),
    "mate missed or allowed": lambda g: any(
        "mate" in e.get("judgment", {}).get("comment", "") for e in g.get("analysis", ())
    ),
}


@pytest.mark.parametrize("case", ODD_CASES)
def test_every_odd_case_is_there_several_times(case):
    assert sum(map(ODD_CASES[case], GAMES)) >= 3


def test_every_speed_and_way_of_pairing_is_there():
    assert {game["speed"] for game in GAMES} == {
        *("ultraBullet", "bullet", "blitz", "rapid", "classical", "correspondence")
    }
    assert {game["source"] for game in GAMES} == {
        *("lobby", "friend", "ai", "api", "position", "pool", "arena", "swiss")
    }


def test_a_rating_is_the_one_before_plus_its_change():
    rows = [
        (game["createdAt"] / 1000, game["perf"], side["user"]["id"], side["rating"], side.get("ratingDiff", 0))
        for game in GAMES
        for side in game["players"].values()
        if "user" in side
    ]
    for tags, _ in itertools.chain(*DUMPED.values()):
        if tags["Site"][-8:] not in BY_ID:
            created = datetime.strptime(tags["UTCDate"] + tags["UTCTime"], "%Y.%m.%d%H:%M:%S").replace(tzinfo=UTC)
            perf = re.search(r"(?:Rated )?(\w+) ", tags["Event"])[1]
            rows += [
                (
                    created.timestamp(),
                    perf[0].lower() + perf[1:],
                    tags[side].lower(),
                    int(tags[f"{side}Elo"]),
                    int(tags.get(f"{side}RatingDiff", "0")),
                )
                for side in ("White", "Black")
            ]
    standing: dict[tuple[str, str], int] = {}
    for _, perf, user, rating, diff in sorted(rows):
        if perf != "correspondence":  # many games at once: the changes come in another order than the beginnings
            assert rating == standing.get((user, perf), rating)
            standing[user, perf] = rating + diff
    assert len(standing) > 200


def test_profiles_and_rating_histories_are_those_of_the_players():
    users = json.loads((SAMPLE / "users.json").read_text())
    histories = json.loads((SAMPLE / "rating_history.json").read_text())
    assert {user["id"] for user in users} == {user for game in GAMES for user in users_of(game)} == set(histories)
    assert [set(user) for user in users if user.get("disabled")] == [{"id", "username", "disabled"}]
    assert sum(user.get("tosViolation", False) for user in users) == 1
    assert sum(user.get("title") == "BOT" for user in users) == 2
    for user in users:
        if user.get("disabled"):
            continue
        played = sum(user["id"] in users_of(game) and game["status"] != "aborted" for game in GAMES)
        count = user["count"]
        assert count["all"] >= played
        assert count["all"] == count["win"] + count["draw"] + count["loss"]
        assert user["createdAt"] < utc(GAMES[0]["createdAt"]).timestamp() * 1000
        by_name = {entry["name"]: entry["points"] for entry in histories[user["id"]]}
        for perf, name in (("blitz", "Blitz"), ("bullet", "Bullet"), ("rapid", "Rapid")):
            points = by_name[name]
            assert points == sorted(points)
            assert all(datetime(year, month0 + 1, day, tzinfo=UTC).year == 2024 for year, month0, day, _ in points)
            if points:
                assert points[-1][3] == user["perfs"][perf]["rating"]


def test_tv_shows_games_of_the_sample_on_sixteen_channels():
    channels = json.loads((SAMPLE / "tv.json").read_text())
    assert set(channels) == {
        *("bot", "blitz", "racingKings", "ultraBullet", "bullet", "classical", "threeCheck", "antichess", "computer"),
        *("horde", "rapid", "atomic", "crazyhouse", "chess960", "kingOfTheHill", "best"),
    }
    for channel, found in channels.items():
        assert found
        for shown in found:
            player = BY_ID[shown["gameId"]]["players"][shown["color"]]
            assert (player["user"], player["rating"]) == (shown["user"], shown["rating"])
            assert channel in ("best", "bot", "computer", BY_ID[shown["gameId"]]["perf"])
    elsewhere = {shown["gameId"] for channel, found in channels.items() if channel != "best" for shown in found}
    assert channels["best"][0]["gameId"] in elsewhere


def test_the_committed_generator_plans_exactly_these_games(monkeypatch):
    monkeypatch.syspath_prepend(str(SAMPLE))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    from schedule import Calendar  # noqa: PLC0415  # a script's module, only to be found from here

    plans = {plan.id_game: plan for plan in Calendar().plans}
    dumped = {tags["Site"][-8:] for tags, _ in itertools.chain(*DUMPED.values())}
    assert {id_game for id_game, plan in plans.items() if not plan.dump_only} == set(BY_ID)
    assert dumped <= set(plans)
    for id_game, game in BY_ID.items():
        names = [side.get("user", {}).get("name") for side in game["players"].values()]
        assert names == [plans[id_game].white, plans[id_game].black]


def test_the_description_tells_the_numbers_of_this_very_sample():
    readme = (SAMPLE / "README.md").read_text()
    told = {name: int(n) for name, n in re.findall(r"^\| (.*?) \| (\d+) \|$", readme, re.MULTILINE)}
    assert told["games in the export"] == len(GAMES)
    assert told["plies"] == sum(map(n_plies, GAMES))
    assert told["with evaluations"] == sum("analysis" in game for game in GAMES)
    assert told["status mate"] == sum(game["status"] == "mate" for game in GAMES)
    for month in MONTHS:
        assert told[f"games in the dump of {month}"] == len(DUMPED[month])
