"""The invented world of the sample: its sixty players, what a planned game is, and the dice that decide."""

import math
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache

import chess
import chess.variant

SEED = 20240131
FIRST_DAY = datetime(2024, 1, 1, tzinfo=UTC)
N_DAYS = 121  # January to April 2024
N_REGULARS = 6  # players who play far more than others

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


@cache
def fondness(name: str, opening: str, side: str) -> float:
    """Return how gladly a player enters an opening with a colour; a few lines are favourites."""
    return math.exp(dice(name, opening, side).gauss(0, 1.6))


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
