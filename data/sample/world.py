"""The invented world of the sample: its openings, its sixty players and the calendar of games they will play.

Nothing is played here. What happens on the board is in playing.py, what is written in generate.py.
"""

import math
import random
import string
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import chess
import chess.variant

SEED = 20240131
FIRST_DAY = datetime(2024, 1, 1, tzinfo=UTC)
N_DAYS = 121  # January to April 2024
N_ARENA_GAMES = 14
N_REGULARS = 6  # players who play far more than others

# Well-known names of well-known first moves; ECO code, name, moves in SAN.
OPENINGS = """
A00 Polish Opening: b4
A00 Van't Kruijs Opening: e3
A00 Grob Opening: g4
A01 Nimzo-Larsen Attack: b3
A02 Bird Opening: f4
A04 Zukertort Opening: Nf3
A05 King's Indian Attack: Nf3 Nf6 g3
A10 English Opening: c4
A20 English Opening: King's English Variation: c4 e5
A30 English Opening: Symmetrical Variation: c4 c5
A40 Queen's Pawn Game: d4
A45 Indian Defense: d4 Nf6
A45 Trompowsky Attack: d4 Nf6 Bg5
A46 London System: d4 Nf6 Nf3 e6 Bf4
A51 Budapest Defense: d4 Nf6 c4 e5
A57 Benko Gambit: d4 Nf6 c4 c5 d5 b5
A60 Benoni Defense: Modern Variation: d4 Nf6 c4 c5 d5 e6
A80 Dutch Defense: d4 f5
B00 King's Pawn Game: e4
B00 Nimzowitsch Defense: e4 Nc6
B00 Owen Defense: e4 b6
B01 Scandinavian Defense: e4 d5
B01 Scandinavian Defense: Main Line: e4 d5 exd5 Qxd5 Nc3 Qa5
B01 Scandinavian Defense: Modern Variation: e4 d5 exd5 Nf6
B02 Alekhine Defense: e4 Nf6
B06 Modern Defense: e4 g6
B07 Pirc Defense: e4 d6 d4 Nf6 Nc3
B10 Caro-Kann Defense: e4 c6
B12 Caro-Kann Defense: Advance Variation: e4 c6 d4 d5 e5
B13 Caro-Kann Defense: Exchange Variation: e4 c6 d4 d5 exd5 cxd5
B18 Caro-Kann Defense: Classical Variation: e4 c6 d4 d5 Nc3 dxe4 Nxe4 Bf5
B20 Sicilian Defense: e4 c5
B21 Sicilian Defense: Smith-Morra Gambit: e4 c5 d4 cxd4 c3
B22 Sicilian Defense: Alapin Variation: e4 c5 c3
B23 Sicilian Defense: Closed: e4 c5 Nc3
B33 Sicilian Defense: Sveshnikov Variation: e4 c5 Nf3 Nc6 d4 cxd4 Nxd4 Nf6 Nc3 e5
B40 Sicilian Defense: French Variation: e4 c5 Nf3 e6
B50 Sicilian Defense: Modern Variations: e4 c5 Nf3 d6
B70 Sicilian Defense: Dragon Variation: e4 c5 Nf3 d6 d4 cxd4 Nxd4 Nf6 Nc3 g6
B90 Sicilian Defense: Najdorf Variation: e4 c5 Nf3 d6 d4 cxd4 Nxd4 Nf6 Nc3 a6
C00 French Defense: e4 e6
C01 French Defense: Exchange Variation: e4 e6 d4 d5 exd5 exd5
C02 French Defense: Advance Variation: e4 e6 d4 d5 e5
C03 French Defense: Tarrasch Variation: e4 e6 d4 d5 Nd2
C15 French Defense: Winawer Variation: e4 e6 d4 d5 Nc3 Bb4
C20 King's Pawn Game: e4 e5
C21 Danish Gambit: e4 e5 d4 exd4 c3
C23 Bishop's Opening: e4 e5 Bc4
C25 Vienna Game: e4 e5 Nc3
C30 King's Gambit: e4 e5 f4
C33 King's Gambit Accepted: e4 e5 f4 exf4
C40 King's Knight Opening: e4 e5 Nf3
C41 Philidor Defense: e4 e5 Nf3 d6
C42 Petrov's Defense: e4 e5 Nf3 Nf6
C44 King's Knight Opening: Normal Variation: e4 e5 Nf3 Nc6
C45 Scotch Game: e4 e5 Nf3 Nc6 d4 exd4 Nxd4
C46 Three Knights Opening: e4 e5 Nf3 Nc6 Nc3
C47 Four Knights Game: e4 e5 Nf3 Nc6 Nc3 Nf6
C50 Italian Game: e4 e5 Nf3 Nc6 Bc4
C51 Italian Game: Evans Gambit: e4 e5 Nf3 Nc6 Bc4 Bc5 b4
C53 Italian Game: Classical Variation: e4 e5 Nf3 Nc6 Bc4 Bc5 c3
C55 Italian Game: Two Knights Defense: e4 e5 Nf3 Nc6 Bc4 Nf6
C60 Ruy Lopez: e4 e5 Nf3 Nc6 Bb5
C65 Ruy Lopez: Berlin Defense: e4 e5 Nf3 Nc6 Bb5 Nf6
C68 Ruy Lopez: Exchange Variation: e4 e5 Nf3 Nc6 Bb5 a6 Bxc6
C78 Ruy Lopez: Morphy Defense: e4 e5 Nf3 Nc6 Bb5 a6 Ba4 Nf6 O-O
D00 Queen's Pawn Game: d4 d5
D00 London System: d4 d5 Bf4
D02 Queen's Pawn Game: Zukertort Variation: d4 d5 Nf3
D06 Queen's Gambit: d4 d5 c4
D10 Slav Defense: d4 d5 c4 c6
D20 Queen's Gambit Accepted: d4 d5 c4 dxc4
D30 Queen's Gambit Declined: d4 d5 c4 e6
D35 Queen's Gambit Declined: Exchange Variation: d4 d5 c4 e6 Nc3 Nf6 cxd5 exd5
D43 Semi-Slav Defense: d4 d5 c4 e6 Nc3 Nf6 Nf3 c6
D70 Neo-Grünfeld Defense: d4 Nf6 c4 g6 f3 d5
D80 Grünfeld Defense: d4 Nf6 c4 g6 Nc3 d5
E00 Catalan Opening: d4 Nf6 c4 e6 g3
E12 Queen's Indian Defense: d4 Nf6 c4 e6 Nf3 b6
E20 Nimzo-Indian Defense: d4 Nf6 c4 e6 Nc3 Bb4
E60 King's Indian Defense: d4 Nf6 c4 g6
E70 King's Indian Defense: Normal Variation: d4 Nf6 c4 g6 Nc3 Bg7 e4
"""

# Every handle ends in "ks" so that nobody takes it for a person's account.
HANDLES = """
Mossy_Rook_ks Tinfoil-Bishop-ks VelvetPawn_ks Grumbling_Gambit_ks Sleepy_Knight_ks QuietZugzwang_ks 7Lanterns_ks
PretzelFork_ks Foggy_Endgame_ks Marmalade_Mate_ks Wobbly_Castle_ks Tempo-Thief-ks BrassMoth_ks Turnip_Queen_ks
Paper_Fortress_ks Nutmeg_Skewer_ks Dusty_Diagonal_ks Sideways_King_ks CopperKettle_ks Umbrella_Pin_ks LostTempo_ks
Pickled_Pawn_ks Midnight_Fork_ks Gingham_Rook_ks HollowSquare_ks Velcro_Knight_ks Thimble_Queen_ks OddMinority_ks
Barnacle_Bishop_ks Cinnamon_Check_ks Rusty_Rank_ks Woolen_Gambit_ks Plaid_Passant_ks Biscuit_Blitz_ks
Second_Teapot_ks Kelp_Castle_ks Lopsided_Luft_ks Pebble_Pusher_ks Drowsy_Dragon_ks Soggy_Sicilian_ks
Puddle_Promoter_ks Crooked_File_ks Bramble_Bishop_ks Feather_Flank_ks Hazel_Hook_ks Tidy_Triangle_ks Ink_Blunder_ks
Ashen_Outpost_ks Goose_Gambit_ks Quilted_Queen_ks Spare_Rook_ks Yonder_Knight_ks 3rdPawnLeft_ks Onion_Opposition_ks
Muddy_Mate_ks Lunar_Luft_ks Zigzag_Zwischen_ks Ivory_Icicle_ks Clockwork_Moth_ks Tin_Oracle_ks
"""
BOTS = ("Clockwork_Moth_ks", "Tin_Oracle_ks")
TITLES = {
    "Ivory_Icicle_ks": "GM",
    "Midnight_Fork_ks": "IM",
    "Thimble_Queen_ks": "WFM",
    "Zigzag_Zwischen_ks": "FM",
    "Lunar_Luft_ks": "CM",
    "Clockwork_Moth_ks": "BOT",
    "Tin_Oracle_ks": "BOT",
}
DISABLED = "Soggy_Sicilian_ks"
VIOLATOR = "Tempo-Thief-ks"
FLAIRS = ("nature.mushroom", "food-drink.pretzel", "objects.teapot", "nature.duck", "smileys.sleepy-face")

# initial seconds, increment seconds, share of ordinary games
CONTROLS = (
    (15, 0, 3), (60, 0, 20), (120, 1, 9), (180, 0, 18), (180, 2, 12), (300, 0, 7), (300, 3, 9),
    (600, 0, 10), (600, 5, 5), (900, 10, 4), (1800, 0, 2), (1800, 20, 2),
)  # fmt: skip
SPEEDS = ((29, "ultraBullet"), (179, "bullet"), (479, "blitz"), (1499, "rapid"), (21599, "classical"))
VARIANT_BOARDS: dict[str, type[chess.Board]] = {
    "antichess": chess.variant.AntichessBoard,
    "threeCheck": chess.variant.ThreeCheckBoard,
    "kingOfTheHill": chess.variant.KingOfTheHillBoard,
    "crazyhouse": chess.variant.CrazyhouseBoard,
    "atomic": chess.variant.AtomicBoard,
    "horde": chess.variant.HordeBoard,
    "racingKings": chess.variant.RacingKingsBoard,
}
# Positions to start from, set up for the sample: king and pawn endings, rook endings, odds games.
POSITIONS = (
    "4k3/pppp4/8/8/8/8/4PPPP/4K3 w - - 0 1",
    "r3k2r/pppq1ppp/2np1n2/4p3/4P3/2NP1N2/PPPQ1PPP/R3K2R w KQkq - 0 1",
    "8/5pk1/6p1/7p/3R3P/6P1/r4PK1/8 w - - 0 1",
    "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNB1KBNR w KQkq - 0 1",
)


def dice(*key: object) -> random.Random:
    """Return the random numbers that belong to a key: the same key, the same numbers, in any process."""
    return random.Random(":".join(map(str, (SEED, *key))))


def happens(rng: random.Random, probability: float) -> bool:
    """Return whether something of this probability happens this time."""
    return rng.random() < probability


def speed_of(initial_s: int | None, increment_s: int) -> str:
    """Return the speed by estimated duration, initial + 40 increments (scalachess Speed.scala)."""
    if initial_s is None:
        return "correspondence"
    return next((name for limit, name in SPEEDS if initial_s + 40 * increment_s <= limit), "correspondence")


@dataclass(frozen=True, slots=True)
class Player:
    """A person (or engine) of the sample: strength, habits, and the marks that the site shows."""

    name: str
    strength: int
    activity: float
    home_hour: float
    pace: float
    resigns_at_cp: int
    flair: str | None
    patron: bool
    newcomer: bool

    @property
    def id_user(self) -> str:
        """The id, by which games are joined: the name in lower case."""
        return self.name.lower()

    @property
    def title(self) -> str | None:
        """The title shown before the name."""
        return TITLES.get(self.name)

    def fondness(self, opening: str, side: str) -> float:
        """How gladly this player enters an opening with a colour; a few lines are favourites."""
        return math.exp(dice(self.name, opening, side).gauss(0, 1.6))


@dataclass(frozen=True, slots=True)
class Plan:
    """A game before it is played: who, when at the earliest, under which rules, and how it has to end, if it has to."""

    n: int
    id_game: str
    white: str | None
    black: str | None
    start_ms: int
    session: int
    initial_s: int | None
    increment_s: int
    rated: bool = True
    source: str = "pool"
    variant: str = "standard"
    days: int | None = None
    ai_level: int | None = None
    tournament: str | None = None
    swiss: str | None = None
    ending: str = "any"
    analysed: bool = False
    dump_only: bool = False
    no_diff: bool = False
    initial_fen: str | None = None
    book: tuple[str, ...] = field(default=())

    @property
    def speed(self) -> str:
        """The speed of its time control."""
        return speed_of(self.initial_s, self.increment_s)

    @property
    def perf(self) -> str:
        """The rating category: the speed for standard chess and set-up positions, else the variant."""
        return self.speed if self.variant in ("standard", "fromPosition") else self.variant

    def board(self) -> chess.Board:
        """Return the board before the first move."""
        if self.variant in VARIANT_BOARDS:
            return VARIANT_BOARDS[self.variant]()
        return chess.Board(self.initial_fen or chess.STARTING_FEN, chess960=self.variant == "chess960")


def opening_lines() -> list[tuple[str, str, tuple[str, ...]]]:
    """Return the table as (ECO, name, moves)."""
    lines = []
    for line in OPENINGS.strip().splitlines():
        head, moves = line.rsplit(": ", 1)
        lines.append((head[:3], head[4:], tuple(moves.split())))
    return lines


def opening_positions() -> dict[str, tuple[str, str]]:
    """Return EPD → (ECO, name), to find an opening whatever order its moves came in."""
    positions = {}
    for eco, name, moves in opening_lines():
        board = chess.Board()
        for move in moves:
            board.push_san(move)
        positions[board.epd()] = (eco, name)
    return positions


def players() -> list[Player]:
    """Return the sixty, the strongest of them titled, two of them engines."""
    sixty = []
    for n, name in enumerate(HANDLES.split()):
        rng = dice("player", name)
        strength = {"GM": 2640, "IM": 2450, "FM": 2330, "CM": 2210, "WFM": 2120, "BOT": 2050}.get(TITLES.get(name, ""))
        sixty.append(
            Player(
                name=name,
                strength=strength or round(min(2100, max(850, rng.gauss(1560, 290)))),
                activity=6.0 if n < N_REGULARS else rng.uniform(0.4, 2.0),
                home_hour=rng.uniform(0, 24),
                pace=rng.uniform(0.75, 1.3),
                resigns_at_cp=rng.choice((450, 600, 800, 1100, 100_000)),
                flair=rng.choice(FLAIRS) if happens(rng, 0.25) else None,
                patron=happens(rng, 0.12),
                newcomer=happens(rng, 0.15),
            )
        )
    return sixty


class Calendar:
    """The plan of every game, in the order in which they are drawn; `scale` shrinks it for a trial."""

    def __init__(self, scale: float = 1.0) -> None:
        """Draw the calendar; with a scale of 1 it holds about 1,600 games for the API and 300 for the dumps only."""
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
        def fondness(name: str | None, line: str, side: str) -> float:
            return self.by_name[name].fondness(line, side) if name else 1.0

        weights = [
            len(moves) ** 0.7 * fondness(white, eco + name, "white") * fondness(black, eco + name, "black")
            for eco, name, moves in self.lines
        ]
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
                    "analysed": standard and happens(self._rng, 0.2),
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
