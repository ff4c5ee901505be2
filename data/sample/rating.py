"""When each game of the sample took place, and how the ratings moved from game to game."""

import math
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime

from playing import Played
from world import Plan, Player, dice


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
        return utc(self.created_ms).strftime("%Y-%m")

    @property
    def sides(self) -> tuple[tuple[str, str | None], tuple[str, str | None]]:
        """(white or black, name) of both sides."""
        return ("white", self.plan.white), ("black", self.plan.black)


def utc(ms: int) -> datetime:
    """Return the time of milliseconds since the epoch."""
    return datetime.fromtimestamp(ms / 1000, tz=UTC)


def place_in_time(plans: list[Plan], played: list[Played]) -> list[Game]:
    """Give every game its beginning: after the game before it in the session, and never two at once for a player."""
    busy: dict[str, list[tuple[int, int]]] = defaultdict(list)
    session_ends: dict[int, int] = {}
    games = []
    for plan in sorted(plans, key=lambda p: (p.start_ms, p.n)):
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
            day = utc(game.last_move_ms).strftime("%Y-%m-%d")
            self.history[name or "", plan.perf][day] = standing.rating


def _glicko(own: Standing, other: Standing, score: float) -> tuple[int, float]:
    """Return the change of a rating and the new deviation (Glickman 1995)."""
    q = math.log(10) / 400
    g = 1 / math.sqrt(1 + 3 * (q * other.deviation / math.pi) ** 2)
    expected = 1 / (1 + 10 ** (-g * (own.rating - other.rating) / 400))
    information = q * q * g * g * expected * (1 - expected)
    deviation = 1 / math.sqrt(1 / own.deviation**2 + information)
    return round(q * deviation**2 * g * (score - expected)), max(45.0, deviation)
