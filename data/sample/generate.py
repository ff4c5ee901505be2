"""Makes the embedded sample anew: plays every game of the calendar, rates the players, writes all files.

Run it as `python data/sample/generate.py`; it needs Stockfish (see README.md). The same seed, Stockfish, python-chess
and zstandard give the same bytes.
"""

import argparse
import hashlib
import io
import json
import math
import sys
from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import judging
import zstandard
from playing import Played, play_batch
from world import BOTS, DISABLED, VIOLATOR, Calendar, Plan, Player, dice, happens

Document = dict[str, Any]
HERE = Path(__file__).parent
DUMP_MONTHS = ("2024-01", "2024-02")
DUMP_NAME = "lichess_db_standard_rated_{month}.pgn.zst"
FRAME_BYTES = 256 * 1024
SKIPPABLE = 0x184D2A50
LEVEL = 19
BATCH = 20
PERF_NAMES = {
    "bullet": "Bullet", "blitz": "Blitz", "rapid": "Rapid", "classical": "Classical",
    "correspondence": "Correspondence", "chess960": "Chess960", "kingOfTheHill": "King of the Hill",
    "threeCheck": "Three-check", "antichess": "Antichess", "atomic": "Atomic", "horde": "Horde",
    "racingKings": "Racing Kings", "crazyhouse": "Crazyhouse", "ultraBullet": "UltraBullet",
}  # fmt: skip
CHANNELS = ("best", "bot", "computer", *PERF_NAMES)
FLAGS = ("NZ", "IS", "PT", "KE", "UY", "_earth")
BIOS = (
    "Invented for a sample. Plays the same opening until it works.",
    "Not a person: part of a sample data set.",
    "Lives on a hard disk, dreams of the seventh rank.",
)


@dataclass(slots=True)
class Game:
    """A played game with its place in time and what it did to the ratings."""

    plan: Plan
    played: Played
    created_ms: int
    marks: dict[str, dict[str, int | bool]]

    @property
    def last_move_ms(self) -> int:
        """When it ended, ms since the epoch, UTC."""
        return self.created_ms + self.played.duration_ms

    @property
    def month(self) -> str:
        """The UTC month of its creation, YYYY-MM."""
        return _utc(self.created_ms).strftime("%Y-%m")

    @property
    def sides(self) -> tuple[tuple[str, str | None], tuple[str, str | None]]:
        """(white or black, name) of both sides."""
        return ("white", self.plan.white), ("black", self.plan.black)


def _utc(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, tz=UTC)


# -- from plans to games ---------------------------------------------------------------------------------------------


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


def place_in_time(calendar: Calendar, played: list[Played]) -> list[Game]:
    """Give every game its beginning: after the game before it in the session, and never two at once for a player."""
    busy: dict[str, list[tuple[int, int]]] = defaultdict(list)
    session_ends: dict[int, int] = {}
    games = []
    for plan in sorted(calendar.plans, key=lambda p: (p.start_ms, p.n)):
        game = played[plan.n]
        rng = dice("pause", plan.n)
        start = max(plan.start_ms, session_ends.get(plan.session, 0)) + rng.randrange(2_000, 40_000)
        if plan.initial_s is not None:
            taken = sorted(span for name in (plan.white, plan.black) if name for span in busy[name])
            for begin, end in taken:
                if start < end and begin < start + game.duration_ms + 1000:
                    start = end + rng.randrange(1_500, 30_000)
            for name in (plan.white, plan.black):
                if name:
                    busy[name].append((start, start + game.duration_ms + 1000))
            session_ends[plan.session] = start + game.duration_ms
        games.append(Game(plan, game, start, {}))
    return sorted(games, key=lambda g: (g.created_ms, g.plan.n))


@dataclass(slots=True)
class Standing:
    """A player's rating in one category, with its deviation."""

    rating: int
    deviation: float
    games: int = 0

    @property
    def provisional(self) -> bool:
        """Whether the site would put a question mark behind the rating."""
        return self.deviation > 110  # noqa: PLR2004 - the site's bound


class Ledger:
    """All ratings through time, by Glicko's first method: the published differences need only be plausible."""

    def __init__(self, people: dict[str, Player]) -> None:
        """Start with the players' ratings before the sample's first day."""
        self.people = people
        self.standings: dict[tuple[str, str], Standing] = {}
        self.history: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)

    def standing(self, name: str, perf: str) -> Standing:
        """Return a player's standing in a category; newcomers and rare categories begin at 1500."""
        if (name, perf) not in self.standings:
            rng, player = dice("rating", name, perf), self.people[name]
            known = not player.newcomer and perf in ("bullet", "blitz", "rapid", "classical")
            self.standings[name, perf] = (
                Standing(round(player.strength + rng.gauss(0, 60)), rng.uniform(48, 85))
                if known
                else Standing(1500, rng.uniform(180, 350))
            )
        return self.standings[name, perf]

    def rate(self, games: list[Game]) -> None:
        """Go through beginnings and ends in order of time; note ratings at the beginning, changes at the end."""
        events = [(g.created_ms, 0, g.plan.n, g) for g in games] + [(g.last_move_ms, 1, g.plan.n, g) for g in games]
        for _, is_end, _, game in sorted(events, key=lambda event: event[:3]):
            if is_end:
                self._close(game)
            else:
                self._open(game)

    def _open(self, game: Game) -> None:
        for side, name in game.sides:
            if name:
                standing = self.standing(name, game.plan.perf)
                game.marks[side] = {"rating": standing.rating}
                if standing.provisional:
                    game.marks[side]["provisional"] = True

    def _close(self, game: Game) -> None:
        plan = game.plan
        if not plan.rated or plan.no_diff or game.played.status == "aborted":
            return
        score = {"white": 1.0, "black": 0.0}.get(game.played.winner or "", 0.5)
        white, black = self.standing(plan.white or "", plan.perf), self.standing(plan.black or "", plan.perf)
        changes = (_glicko(white, black, score), _glicko(black, white, 1 - score))
        for (side, name), standing, (diff, deviation) in zip(game.sides, (white, black), changes, strict=True):
            standing.rating, standing.deviation, standing.games = standing.rating + diff, deviation, standing.games + 1
            game.marks[side]["ratingDiff"] = diff
            day = _utc(game.last_move_ms).strftime("%Y-%m-%d")
            self.history[name or "", plan.perf][day] = standing.rating


def _glicko(own: Standing, other: Standing, score: float) -> tuple[int, float]:
    """Return the change of a rating and the new deviation (Glickman 1995)."""
    q = math.log(10) / 400
    g = 1 / math.sqrt(1 + 3 * (q * other.deviation / math.pi) ** 2)
    expected = 1 / (1 + 10 ** (-g * (own.rating - other.rating) / 400))
    information = q * q * g * g * expected * (1 - expected)
    deviation = 1 / math.sqrt(1 / own.deviation**2 + information)
    return round(q * deviation**2 * g * (score - expected)), max(45.0, deviation)


# -- the API's documents ---------------------------------------------------------------------------------------------


def shown(player: Player) -> Document:
    """Return a player as games and TV show them."""
    user: Document = {"name": player.name}
    if player.title:
        user["title"] = player.title
    if player.flair:
        user["flair"] = player.flair
    if player.patron:
        user |= {"patron": True, "patronColor": 1 + len(player.name) % 10}
    return {**user, "id": player.id_user}


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


# -- the monthly dumps -----------------------------------------------------------------------------------------------


def pgn(game: Game, people: dict[str, Player], until_ms: int) -> str:
    """Return a game as a monthly dump has it; plies after `until_ms` had not been made when it was written."""
    plan, played = game.plan, game.played
    # Dumps are written some days into the next month: only correspondence games are still going on by then.
    over = game.last_move_ms < until_ms or plan.initial_s is not None
    n_plies = len(played.moves) if over else sum(game.created_ms + ms < until_ms for ms in played.ply_ms)
    result = {"white": "1-0", "black": "0-1"}.get(played.winner or "", "1/2-1/2") if over else "*"
    ends = {"outoftime": "Time forfeit", "timeout": "Abandoned", "noStart": "Abandoned"}
    speed = plan.speed[0].upper() + plan.speed[1:]
    event = f"Rated {speed} game"
    if plan.tournament:
        event = f"Rated {speed} tournament https://lichess.org/tournament/{plan.tournament}"
    if plan.swiss:
        event = f"{speed} swiss https://lichess.org/swiss/{plan.swiss}"
    created = _utc(game.created_ms)
    marks = game.marks
    opening = played.opening or {"eco": "?", "name": "?"}
    tags: dict[str, object] = {
        "Event": event,
        "Site": f"https://lichess.org/{plan.id_game}",
        "Date": created.strftime("%Y.%m.%d"),
        "Round": "-",
        "White": plan.white,
        "Black": plan.black,
        "Result": result,
        "UTCDate": created.strftime("%Y.%m.%d"),
        "UTCTime": created.strftime("%H:%M:%S"),
        "WhiteElo": marks["white"]["rating"],
        "BlackElo": marks["black"]["rating"],
    }
    if over and "ratingDiff" in marks["white"]:
        tags |= {"WhiteRatingDiff": f"{marks['white']['ratingDiff']:+d}"}
        tags |= {"BlackRatingDiff": f"{marks['black']['ratingDiff']:+d}"}
    for side, name in game.sides:
        if title := people[name or ""].title:
            tags[f"{side.title()}Title"] = title
    tags |= {
        "ECO": opening["eco"],
        "Opening": opening["name"],
        "TimeControl": "-" if plan.initial_s is None else f"{plan.initial_s}+{plan.increment_s}",
        "Termination": ends.get(played.status, "Normal") if over else "Unterminated",
    }
    head = "".join(f'[{key} "{value}"]\n' for key, value in tags.items())
    return f"{head}\n{movetext(played, n_plies)} {result}\n\n"


def movetext(played: Played, n_plies: int) -> str:
    """Return the moves in one line, with what the dumps tell of each in comments."""
    words: list[str] = []
    before: judging.Entry = {"eval": judging.START_CP}
    for ply, san in enumerate(played.moves[:n_plies]):
        notes, mark = [], ""
        if played.analysis and ply < len(played.analysis):
            after = played.analysis[ply]
            mark = judging.glyph(before, after, -1 if ply % 2 else 1)
            notes.append(f"[%eval #{after['mate']}]" if "mate" in after else f"[%eval {after['eval'] / 100}]")
            before = after
        if played.clocks:
            seconds = (played.clocks[ply] + 50) // 100
            notes.append(f"[%clk {seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}]")
        if ply % 2 == 0:
            words.append(f"{ply // 2 + 1}.")
        elif words[-1] == "}":
            words.append(f"{ply // 2 + 1}...")
        words.append(san + mark)
        if ply in played.offers:
            words += ["{", f"{played.offers[ply].title()} offers draw", "}"]
        if notes:
            words += ["{", *notes, "}"]
    return " ".join(words)


def damaged(text: str) -> str:
    """Return a game cut off inside a comment, as a broken transfer leaves it."""
    return text[: text.rindex("[%clk", 0, len(text) * 2 // 3) + 8] + "\n\n"


def parallel_zstd(text: bytes) -> bytes:
    """Compress as pzstd does: independent frames, each after a skippable frame of 12 bytes that holds its size."""
    packed = io.BytesIO()
    for start in range(0, len(text), FRAME_BYTES):
        frame = zstandard.ZstdCompressor(level=LEVEL).compress(text[start : start + FRAME_BYTES])
        packed.write(SKIPPABLE.to_bytes(4, "little") + (4).to_bytes(4, "little") + len(frame).to_bytes(4, "little"))
        packed.write(frame)
    return packed.getvalue()


def write_dumps(games: list[Game], people: dict[str, Player], out: Path) -> Counter[str]:
    """Write the monthly dumps of rated standard games, their checksums and their numbers of games."""
    sums: list[str] = []
    counts: list[str] = []
    facts = Counter[str]()
    for month in DUMP_MONTHS:
        until = datetime.fromisoformat(f"{month}-01T00:00:00+00:00")
        until_ms = int(until.replace(month=until.month + 1).timestamp() * 1000)
        chosen = [
            g for g in games
            if g.month == month and g.plan.rated and g.plan.variant == "standard" and g.played.status != "aborted"
        ]  # fmt: skip
        texts = [pgn(game, people, until_ms) for game in chosen]
        facts[f"games in the dump of {month}"] = len(texts)
        facts[f"of these in no export ({month})"] = sum(g.plan.dump_only for g in chosen)
        if month == DUMP_MONTHS[-1]:
            hurt = next(k for k, g in enumerate(chosen) if g.plan.dump_only and len(g.played.moves) > 40 and k > 9)  # noqa: PLR2004 - well inside
            texts[hurt] = damaged(texts[hurt])
        packed = parallel_zstd("".join(texts).encode())
        name = DUMP_NAME.format(month=month)
        (out / name).write_bytes(packed)
        sums.insert(0, f"{hashlib.sha256(packed).hexdigest()}  {name}\n")
        counts.insert(0, f"{name} {len(texts)}\n")
    (out / "sha256sums.txt").write_text("".join(sums))
    (out / "counts.txt").write_text("".join(counts))
    return facts


# -- users, TV, the description --------------------------------------------------------------------------------------


def users(games: list[Game], people: dict[str, Player], ledger: Ledger) -> list[Document]:
    """Return the public profiles, as they are when the sample ends."""
    results: dict[str, Counter[str]] = defaultdict(Counter)
    seen: dict[str, int] = {}
    for game in games:
        for side, name in game.sides:
            if not name or game.played.status == "aborted":
                continue
            outcome = "draw" if game.played.winner is None else "win" if game.played.winner == side else "loss"
            results[name].update(["all", outcome, *(["rated"] if game.plan.rated else [])])
            results[name]["seconds"] += game.played.duration_ms // 1000 if game.plan.initial_s is not None else 0
            seen[name] = max(seen.get(name, 0), game.last_move_ms)
    return [_profile(player, results[player.name], seen.get(player.name, 0), ledger) for player in people.values()]


def _profile(player: Player, results: Counter[str], seen_ms: int, ledger: Ledger) -> Document:
    if player.name == DISABLED:
        return {"id": player.id_user, "username": player.name, "disabled": True}
    rng = dice("profile", player.name)
    perfs: Document = {}
    earlier = 0
    for perf in PERF_NAMES:
        if (player.name, perf) in ledger.standings or perf in ("bullet", "blitz", "rapid", "classical"):
            standing = ledger.standing(player.name, perf)
            before = 0 if standing.rating == 1500 or standing.provisional else rng.randrange(40, 3000)  # noqa: PLR2004 - where all begin
            earlier += before
            perfs[perf] = {
                "games": before + standing.games,
                "rating": standing.rating,
                "rd": round(standing.deviation),
                "prog": rng.randrange(-40, 40),
                **({"prov": True} if standing.provisional else {}),
            }
    perfs["puzzle"] = {"games": rng.randrange(900), "rating": player.strength + 150, "rd": 80, "prog": 0}
    draws, wins = earlier // 20, earlier * 48 // 100
    user = shown(player)
    optional: Document = {key: user[key] for key in ("title", "flair", "patron", "patronColor") if key in user}
    if player.name == VIOLATOR:
        optional["tosViolation"] = True
    profile: Document = {"bio": rng.choice(BIOS), "flag": rng.choice(FLAGS)} if happens(rng, 0.7) else {}
    return {
        "id": player.id_user,
        "username": player.name,
        "perfs": perfs,
        **optional,
        "createdAt": 1_300_000_000_000 + rng.randrange(390_000_000_000),
        **({"profile": profile} if profile else {}),
        "seenAt": seen_ms,
        "playTime": {"total": results["seconds"] + earlier * 400, "tv": rng.randrange(5000)},
        "url": f"https://lichess.org/@/{player.name}",
        "count": {
            "all": earlier + results["all"],
            "rated": earlier + results["rated"],
            "draw": draws + results["draw"],
            "loss": earlier - draws - wins + results["loss"],
            "win": wins + results["win"],
            "bookmark": rng.randrange(30),
            "playing": 0,
            "import": 0,
            "me": 0,
        },
    }


def rating_history(people: dict[str, Player], ledger: Ledger) -> Document:
    """Return each user's ratings by day and category; months count from 0, as in the API."""
    return {
        player.id_user: [
            {
                "name": title,
                "points": [
                    [int(day[:4]), int(day[5:7]) - 1, int(day[8:]), rating]
                    for day, rating in sorted(ledger.history[name, perf].items())
                ],
            }
            for perf, title in PERF_NAMES.items()
        ]
        for name, player in people.items()
    }


def tv_script(games: list[Game], people: dict[str, Player]) -> dict[str, list[Document]]:
    """Return what each of the sixteen TV channels shows: games, the first one now, each seen from one side."""
    fit: dict[str, list[Game]] = {channel: [] for channel in CHANNELS}
    for game in games:
        plan = game.plan
        if plan.dump_only or len(game.played.moves) < 2:  # noqa: PLR2004 - not to be seen on TV
            continue
        kind = "computer" if plan.ai_level else "bot" if {plan.white, plan.black} & set(BOTS) else plan.perf
        if kind in fit and plan.variant != "fromPosition":
            fit[kind].append(game)
    rng = dice("tv")
    script = {c: [_on_air(g, people) for g in rng.sample(found, min(8, len(found)))] for c, found in fit.items()}
    stars = [shown_now for channel in PERF_NAMES for shown_now in script[channel][:1]]
    script["best"] = sorted(stars, key=lambda star: (-star["rating"], star["gameId"]))[:1]
    return {channel: script[channel] for channel in rng.sample(CHANNELS, len(CHANNELS))}


def _on_air(game: Game, people: dict[str, Player]) -> Document:
    """Show the game from the stronger side that has an account."""
    named = [(game.marks[side]["rating"], side, name) for side, name in game.sides if name]
    rating, side, name = max(named)
    return {"user": shown(people[name]), "rating": rating, "gameId": game.plan.id_game, "color": side}


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
                "past midnight": "clock" in doc and _utc(doc["createdAt"]).date() < _utc(doc["lastMoveAt"]).date(),
                "into the next month": _utc(doc["createdAt"]).month < _utc(doc["lastMoveAt"]).month,
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
    games = place_in_time(calendar, play_all(calendar, arguments.processes))
    ledger = Ledger(calendar.by_name)
    ledger.rate(games)
    write_all(calendar, games, ledger, arguments.out)


if __name__ == "__main__":
    main()
