"""The calendar of the sample: every game that will be played, by whom and under which rules, before it is played."""

import math
import string
from datetime import timedelta

import chess
from openings import opening_lines
from world import BOTS, FIRST_DAY, N_DAYS, VARIANT_BOARDS, Plan, Player, dice, fondness, happens, players

N_ARENA_GAMES = 14
# initial seconds, increment seconds, share of ordinary games
CONTROLS = (
    (15, 0, 3), (60, 0, 20), (120, 1, 9), (180, 0, 18), (180, 2, 12), (300, 0, 7), (300, 3, 9),
    (600, 0, 10), (600, 5, 5), (900, 10, 4), (1800, 0, 2), (1800, 20, 2),
)  # fmt: skip
# Positions to start from, set up for the sample: king and pawn endings, rook endings, odds games.
POSITIONS = (
    "4k3/pppp4/8/8/8/8/4PPPP/4K3 w - - 0 1",
    "r3k2r/pppq1ppp/2np1n2/4p3/4P3/2NP1N2/PPPQ1PPP/R3K2R w KQkq - 0 1",
    "8/5pk1/6p1/7p/3R3P/6P1/r4PK1/8 w - - 0 1",
    "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNB1KBNR w KQkq - 0 1",
)


class Calendar:
    """The plan of every game, in the order in which they are drawn; `scale` shrinks it for a trial.

    With a scale of 1 it holds 1,600 games for the API and about 300 for the dumps alone.
    """

    def __init__(self, scale: float = 1.0) -> None:
        """Draw the calendar."""
        self.scale = scale
        self.people = players()
        self.humans = [p for p in self.people if p.title != "BOT"]
        self.by_name = {p.name: p for p in self.people}
        self.lines = opening_lines()
        self.plans: list[Plan] = []
        self._ids: set[str] = set()
        self._n_sessions = 0
        self._rng = dice("calendar")
        self._draw()

    def _many(self, n: int) -> int:
        return max(3, round(n * self.scale))

    def _new_id(self) -> str:
        while True:
            drawn = "".join(self._rng.choices(string.ascii_letters + string.digits, k=8))
            # Now and then an id repeats another in the other case: ids are case-sensitive.
            if len(self.plans) % 100 == 99:  # noqa: PLR2004 - now and then
                drawn = self.plans[-1].id_game.swapcase()
            if drawn not in self._ids:
                self._ids.add(drawn)
                return drawn

    def _moment(self, home_hour: float, day: int | None = None) -> int:
        drawn_day = self._rng.randrange(N_DAYS) if day is None else day
        hour = self._rng.gauss(home_hour, 2.2) % 24
        return int((FIRST_DAY + timedelta(days=drawn_day, hours=hour)).timestamp() * 1000)

    def _session(self) -> int:
        self._n_sessions += 1
        return self._n_sessions

    def _control(self) -> tuple[int, int]:
        initial, increment, _ = self._rng.choices(CONTROLS, [share for *_, share in CONTROLS])[0]
        return initial, increment

    def _person(self) -> Player:
        return self._rng.choices(self.humans, [p.activity for p in self.humans])[0]

    def _opponent(self, person: Player) -> Player:
        others = [p for p in self.humans if p is not person]
        near = [p.activity * math.exp(-(((p.strength - person.strength) / 200) ** 2)) + 1e-6 for p in others]
        return self._rng.choices(others, near)[0]

    def _pair(self, person: Player | None = None) -> tuple[str, str]:
        first = person or self._person()
        pair = [first.name, self._opponent(first).name]
        self._rng.shuffle(pair)
        return pair[0], pair[1]

    def _book(self, white: str | None, black: str | None) -> tuple[str, ...]:
        weights = []
        for eco, name, moves in self.lines:
            weight = len(moves) ** 0.7
            for player, side in ((white, "white"), (black, "black")):
                weight *= fondness(player, eco + name, side) if player else 1.0
            weights.append(weight)
        moves = self._rng.choices(self.lines, weights)[0][2]
        return moves if happens(self._rng, 0.8) else moves[: self._rng.randrange(len(moves))]

    def _add(
        self, white: str | None, black: str | None, start_ms: int, control: tuple[int | None, int], **more: object
    ) -> None:
        standard = more.get("variant", "standard") == "standard"
        self.plans.append(
            Plan(
                n=len(self.plans),
                id_game=self._new_id(),
                white=white,
                black=black,
                start_ms=start_ms,
                initial_s=control[0],
                increment_s=control[1],
                **{  # type: ignore[arg-type]  # the keywords are Plan's own, checked when the calendar is drawn
                    "session": self._session(),
                    "book": self._book(white, black) if standard else (),
                    "analysed": standard and happens(self._rng, 0.22),
                    **more,
                },
            )
        )

    def _draw(self) -> None:
        self._odd_cases()
        self._variants()
        self._correspondence()
        self._arenas()
        self._swisses()
        wanted = self._many(1600)
        self._sessions(wanted - len(self.plans))
        for month_start in (0, 31):
            self._sessions(self._many(150), days=range(month_start, month_start + 27), dump_only=True)

    def _sessions(self, n_games: int, days: range | None = None, *, dump_only: bool = False) -> None:
        """Evenings of one person: up to nine games in a row, one time control, opponents of similar strength."""
        until = len(self.plans) + n_games
        while len(self.plans) < until:
            person, control, session = self._person(), self._control(), self._session()
            start = self._moment(person.home_hour, self._rng.choice(days) if days else None)
            rated = dump_only or happens(self._rng, 0.93)
            for _ in range(min(self._rng.randint(1, 9), until - len(self.plans))):
                source = self._rng.choices(("pool", "lobby", "friend"), (7, 2, 1))[0]
                self._add(
                    *self._pair(person), start, control, session=session, rated=rated, source=source,
                    dump_only=dump_only,
                )  # fmt: skip

    def _odd_cases(self) -> None:
        """What happens seldom, several times each."""
        for ending, n in (
            ("stalemate", 8), ("repetition", 8), ("fifty", 4), ("insufficient", 6), ("timeout", 14),
            ("flag_draw", 6), ("timeout_draw", 4), ("aborted", 8),
        ):  # fmt: skip
            for _ in range(self._many(n)):
                person = self._person()
                control = self._rng.choice(((60, 0), (180, 0), (300, 0), (180, 2)))
                self._add(*self._pair(person), self._moment(person.home_hour), control, ending=ending, analysed=False)
        for n in range(self._many(24)):
            self._against(n, source="ai", ai_level=1 + n % 8)
        for n in range(self._many(16)):
            self._against(n, source=self._rng.choice(("friend", "lobby")), analysed=False)
        for _ in range(self._many(12)):  # bots play through the API
            person, bot = self._person(), self._rng.choice(BOTS)
            white, black = self._rng.sample((person.name, bot), 2)
            rated = happens(self._rng, 0.7)
            self._add(white, black, self._moment(person.home_hour), (180, 2), source="api", rated=rated)
        for _ in range(self._many(6)):
            person = self._person()
            self._add(*self._pair(person), self._moment(person.home_hour), self._control(), no_diff=True)
        for day in (31, 60, 91):  # begun ten minutes before the month's last midnight
            start = int((FIRST_DAY + timedelta(days=day, minutes=-6)).timestamp() * 1000)
            self._add(*self._pair(), start, (600, 5))

    def _against(self, n: int, **more: object) -> None:
        """A casual game of a person against the computer or an anonymous visitor."""
        person = self._person()
        white, black = (person.name, None) if n % 2 else (None, person.name)
        control = self._rng.choice(((300, 3), (600, 0), (900, 10)))
        self._add(white, black, self._moment(person.home_hour), control, rated=False, **more)

    def _variants(self) -> None:
        for variant, n in (
            ("chess960", 14), ("fromPosition", 10), ("antichess", 8), ("threeCheck", 8), ("kingOfTheHill", 5),
            ("crazyhouse", 5), ("atomic", 5), ("horde", 4), ("racingKings", 4),
        ):  # fmt: skip
            for k in range(self._many(n)):
                fen = None
                if variant == "chess960":
                    fen = chess.Board.from_chess960_pos(self._rng.randrange(960)).fen()
                elif variant == "fromPosition":
                    fen = POSITIONS[k % len(POSITIONS)]
                elif variant in ("horde", "racingKings"):
                    fen = VARIANT_BOARDS[variant].starting_fen
                source = ("position" if k % 2 else "friend") if variant == "fromPosition" else "lobby"
                person = self._person()
                self._add(
                    *self._pair(person), self._moment(person.home_hour), self._rng.choice(((180, 2), (300, 0))),
                    variant=variant, initial_fen=fen, source=source, rated=variant != "fromPosition" and k % 3 > 0,
                )  # fmt: skip

    def _correspondence(self) -> None:
        for k in range(self._many(24)):
            # The last third begins in the last days of a month and so cannot finish before its dump is written.
            day = self._rng.randrange(0, 50) if k % 3 else self._rng.choice((27, 29, 57, 58))
            self._add(
                *self._pair(), self._moment(18, day), (None, 0), days=self._rng.choice((1, 2, 3, 7)), rated=k % 4 != 1,
                source="lobby",
            )  # fmt: skip
        for _ in range(self._many(6)):
            self._add(*self._pair(), self._moment(18, self._rng.randrange(60)), (None, 0), rated=False, source="friend")
        for day in (29, 57):  # and two of which only the dumps tell
            self._add(*self._pair(), self._moment(18, day), (None, 0), days=7, source="lobby", dump_only=True)

    def _arenas(self) -> None:
        """Arenas of an hour: a dozen people paired again and again; some berserk, some never show up."""
        for k in range(self._many(12)):
            arena, control = self._new_id(), ((60, 0), (180, 0), (300, 0), (180, 2))[k % 4]
            opens = self._moment(19, 3 + k * 9 % N_DAYS)
            field_of = self._rng.sample(self.humans, 12)
            for n in range(N_ARENA_GAMES):
                white, black = self._rng.sample(field_of, 2)
                self._add(
                    white.name, black.name, opens + n * 120_000, control, tournament=arena, source="arena",
                    ending="noStart" if n == N_ARENA_GAMES - 1 else "any", analysed=n % 5 == 0,
                )  # fmt: skip

    def _swisses(self) -> None:
        for k in range(self._many(4)):
            swiss, control = self._new_id(), ((180, 2), (300, 3), (600, 0), (900, 10))[k % 4]
            opens = self._moment(17, 12 + k * 27 % N_DAYS)
            entrants = self._rng.sample(self.humans, 8)
            for n in range(5):
                self._rng.shuffle(entrants)
                for white, black in zip(entrants[::2], entrants[1::2], strict=True):
                    self._add(
                        white.name, black.name, opens + n * 4 * control[0] * 1000, control, swiss=swiss, source="swiss"
                    )
