"""Makes the embedded sample anew: plays every game of the calendar, rates the players, writes all files.

Run it as `python data/sample/generate.py`; it needs Stockfish (see README.md). The same seed, Stockfish, python-chess
and zstandard give the same bytes.
"""

import argparse
import json
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import zstandard
from dumps import LEVEL, write_dumps
from playing import Played, play_batch
from profiles import rating_history, shown, tv_script, users
from rating import Game, Ledger, place_in_time, utc
from schedule import Calendar
from world import Player

Document = dict[str, Any]
HERE = Path(__file__).parent
BATCH = 20  # games played with one engine process


def play_all(calendar: Calendar, processes: int) -> list[Played]:
    """Play all games, in batches, and report the progress."""
    batches = [calendar.plans[k : k + BATCH] for k in range(0, len(calendar.plans), BATCH)]
    played: list[Played] = []
    with ProcessPoolExecutor(processes) as pool:
        for batch in pool.map(partial(play_batch, people=calendar.by_name), batches):
            played.extend(batch)
            sys.stderr.write(f"\r{len(played)} of {len(calendar.plans)} games")
    sys.stderr.write("\n")
    return played


def document(game: Game, people: dict[str, Player]) -> Document:
    """Return a game in the API's shape, with every field that a request can ask for."""
    plan, played = game.plan, game.played
    sides: dict[str, Document] = {}
    for side, name in game.sides:
        marks = dict(game.marks.get(side, {}))
        provisional = {"provisional": True} if marks.pop("provisional", False) else {}
        sides[side] = {"user": shown(people[name]), **marks, **provisional} if name else {}
        if not name and plan.ai_level:
            sides[side] = {"aiLevel": plan.ai_level}
        if played.summary:
            sides[side]["analysis"] = played.summary[side]
    clock = None
    if plan.initial_s is not None:
        total = plan.initial_s + 40 * plan.increment_s
        clock = {"initial": plan.initial_s, "increment": plan.increment_s, "totalTime": total}
    everything = {
        "id": plan.id_game,
        "rated": plan.rated,
        "variant": plan.variant,
        "speed": plan.speed,
        "perf": plan.perf,
        "createdAt": game.created_ms,
        "lastMoveAt": game.last_move_ms,
        "status": played.status,
        "source": plan.source,
        "players": sides,
        "initialFen": plan.initial_fen,
        "winner": played.winner,
        "opening": played.opening,
        "moves": " ".join(played.moves),
        "clocks": played.clocks or None,
        "analysis": played.analysis,
        "tournament": plan.tournament,
        "swiss": plan.swiss,
        "clock": clock,
        "daysPerTurn": plan.days,
    }
    full = {key: value for key, value in everything.items() if value is not None}
    if plan.variant in ("standard", "chess960", "fromPosition"):
        full["division"] = played.division
    return full


def census(documents: list[Document]) -> Counter[str]:
    """Count the games by what is special about them, for the description."""
    kinds = Counter[str]()
    for doc in documents:
        sides = doc["players"].values()
        n_plies = len(doc["moves"].split())
        status = doc["status"] + ("" if "winner" in doc or doc["status"] not in ("outoftime", "timeout") else ", drawn")
        kinds.update(
            [f"status {status}", f"speed {doc['speed']}", f"variant {doc['variant']}", f"source {doc['source']}"]
        )
        first = doc.get("clocks", [10**9])[0]
        kinds.update(
            name
            for name, holds in {
                "rated": doc["rated"],
                "with evaluations": "analysis" in doc,
                "against the computer": any("aiLevel" in s for s in sides),
                "against an anonymous player": any(not s for s in sides),
                "with a titled player": any("title" in s.get("user", {}) for s in sides),
                "with a provisional rating": any("provisional" in s for s in sides),
                "in an arena": "tournament" in doc,
                "in a swiss": "swiss" in doc,
                "with a berserk": "clock" in doc
                and min([first, *doc.get("clocks", [])[1:2]]) < 60 * doc["clock"]["initial"],
                "correspondence with a limit": "daysPerTurn" in doc,
                "correspondence without limit": "clock" not in doc and "daysPerTurn" not in doc,
                "rated without rating difference": doc["rated"] and not any("ratingDiff" in s for s in sides),
                "with a rating difference of 0": any(s.get("ratingDiff") == 0 for s in sides),
                "past midnight": "clock" in doc and utc(doc["createdAt"]).date() < utc(doc["lastMoveAt"]).date(),
                "into the next month": utc(doc["createdAt"]).month < utc(doc["lastMoveAt"]).month,
                "with one clock more than plies": len(doc.get("clocks", ())) == n_plies + 1,
            }.items()
            if holds
        )
        kinds["plies"] += n_plies
    return kinds


def write_all(calendar: Calendar, games: list[Game], ledger: Ledger, out: Path) -> None:
    """Write every file of the sample."""
    people = calendar.by_name
    documents = [document(game, people) for game in games if not game.plan.dump_only]
    lines = "".join(_json(doc) + "\n" for doc in documents)
    (out / "games.ndjson.zst").write_bytes(zstandard.ZstdCompressor(level=LEVEL).compress(lines.encode()))
    facts = write_dumps(games, people, out)
    profiles = [_json(user) for user in users(games, people, ledger)]
    (out / "users.json").write_text("[\n" + ",\n".join(profiles) + "\n]\n")
    history = [f"{_json(name)}:{_json(points)}" for name, points in rating_history(people, ledger).items()]
    (out / "rating_history.json").write_text("{\n" + ",\n".join(history) + "\n}\n")
    channels = [f"{_json(name)}:{_json(found)}" for name, found in tv_script(games, people).items()]
    (out / "tv.json").write_text("{\n" + ",\n".join(channels) + "\n}\n")
    rows = [("games in the export", len(documents)), *facts.items(), *sorted(census(documents).items())]
    numbers = "\n".join(f"| {name} | {count} |" for name, count in rows)
    readme = (HERE / "README.md").read_text()
    head, tail = readme.split("<!-- numbers -->")[0], readme.split("<!-- /numbers -->")[1]
    table = f"<!-- numbers -->\n| what | how many |\n|---|---|\n{numbers}\n<!-- /numbers -->"
    (out / "README.md").write_text(head + table + tail)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def main() -> None:
    """Read the command line and make the sample."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE, help="folder to write to")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the games to play, for a trial")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    calendar = Calendar(arguments.scale)
    games = place_in_time(calendar.plans, play_all(calendar, arguments.processes))
    ledger = Ledger(calendar.by_name)
    ledger.rate(games)
    write_all(calendar, games, ledger, arguments.out)


if __name__ == "__main__":
    main()
