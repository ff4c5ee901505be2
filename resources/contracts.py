"""What we rely on in Lichess's answers, field by field, and what happens when an answer does not keep it."""

import json
from collections.abc import Iterable
from hashlib import sha256
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Field, RootModel, Strict, ValidationError

from resources.redaction import excerpt
from resources.source_errors import SourceError

BOM = b"\xef\xbb\xbf"
RUNNING = frozenset({"created", "started"})
"""Statuses of games that are not over."""

Milliseconds = Annotated[int, Field(ge=1262304000000, lt=4102444800000)]
"""A time from 2010 to 2100 in milliseconds since 1970, UTC: seconds or microseconds fall outside."""
Since1970 = Annotated[int, Field(ge=0, lt=4102444800000)]
"""A time in milliseconds since 1970, UTC, where 0 stands for none."""
Text = Annotated[str, Field(min_length=1)]


class ContractBroken(SourceError):
    """An answer is not what we rely on: names the field, what came and where, so that it can be mended."""

    def __init__(self, message: str, page: bytes = b"") -> None:
        """`page`: the answer, or as much of it as there is, for the quarantine."""
        super().__init__(message)
        self.page = page


class LineBroken(Exception):
    """One line of an answer is no document: set aside, the others go on."""


class SourceComplains(SourceError):
    """The source put an error where a document should be."""


class _Contract(BaseModel):
    """Strict: an integer is an integer. Fields that we do not rely on may come and go."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class PlayerUser(_Contract):
    """The account of a player."""

    id: Text = Field(description="Lower-case name; games are joined to players by it")
    name: Text = Field(description="Name as displayed")
    title: Text | None = Field(None, description="Chess title, or BOT")


class Player(_Contract):
    """One side of a game; without `user` and `aiLevel` it is an anonymous player."""

    user: PlayerUser | None = Field(None, description="Absent for anonymous players and the computer")
    rating: int | None = Field(None, description="Before the game; absent for anonymous players and the computer")
    ratingDiff: int | None = Field(None, description="What the game changed; absent in casual games")  # noqa: N815  # Lichess's name
    aiLevel: int | None = Field(None, description="Level of Stockfish, where it plays")  # noqa: N815  # Lichess's name


class Players(_Contract):
    """Both sides."""

    white: Player = Field(description="White")
    black: Player = Field(description="Black")


class TimeControl(_Contract):
    """Clock settings."""

    initial: int = Field(ge=0, description="Seconds")
    increment: int = Field(ge=0, description="Seconds a move")


class Opening(_Contract):
    """The opening that was reached."""

    eco: Text = Field(description="Code of the Encyclopaedia of Chess Openings")
    name: Text = Field(description="Name")
    ply: int = Field(ge=0, description="Plies that belong to it")


class Judgment(_Contract):
    """What the server thinks of a move."""

    name: Text = Field(description="Inaccuracy, Mistake or Blunder")


class Evaluation(_Contract):
    """Engine evaluation after a ply, White's view."""

    eval: int | None = Field(None, description="Centipawns")
    mate: int | None = Field(None, description="Moves to mate, negative if White is mated")
    best: Text | None = Field(None, description="Best move in UCI, where another one was played")
    judgment: Judgment | None = Field(None, description="Only on errors")


class Game(_Contract):
    """A game as the exports send it."""

    id: str = Field(pattern=r"^[A-Za-z0-9]{8}$", description="Eight letters or digits; case matters")
    rated: bool = Field(description="Whether it counts for ratings")
    variant: Text = Field(description="Key of the variant")
    speed: Text = Field(description="Key of the speed")
    perf: Text = Field(description="Rating category")
    createdAt: Milliseconds = Field(description="When it was created; exports are sorted and cut by it")  # noqa: N815  # Lichess's name
    lastMoveAt: Milliseconds = Field(description="When the last move was made")  # noqa: N815  # Lichess's name
    status: Text = Field(description="How it ended, or `created`, `started` while it runs")
    players: Players = Field(description="Both sides")
    moves: str = Field(description="SAN, blank separated; empty if none was made")
    winner: Literal["white", "black"] | None = Field(None, description="Absent for draws and running games")
    initialFen: Text | None = Field(None, description="Starting position, where it is not the usual one")  # noqa: N815  # Lichess's name
    clock: TimeControl | None = Field(None, description="Absent in correspondence games")
    daysPerTurn: int | None = Field(None, ge=1, description="Correspondence games with a limit")  # noqa: N815  # Lichess's name
    clocks: list[int] | None = Field(None, description="Centiseconds left after each ply")
    opening: Opening | None = Field(None, description="Absent where there is none, and for Chess960")
    analysis: list[Evaluation] | None = Field(None, description="An entry a ply, one less if the game ends in mate")
    tournament: Text | None = Field(None, description="Arena tournament")
    swiss: Text | None = Field(None, description="Swiss tournament")


class Perf(_Contract):
    """A rating of a user in one category."""

    games: int | None = Field(None, ge=0, description="Rated games played; absent for storm, racer and streak")
    rating: int | None = Field(None, description="Glicko-2 rating")
    rd: int | None = Field(None, ge=0, description="Rating deviation")
    prog: int | None = Field(None, description="Progress over the last games")
    prov: bool | None = Field(None, description="Present where the rating is provisional")


class PlayTime(_Contract):
    """Time spent playing."""

    total: int = Field(ge=0, description="Seconds")
    tv: int = Field(ge=0, description="Seconds on TV")


class User(_Contract):
    """A user; a closed account has little more than its name."""

    id: Text = Field(description="Lower-case name")
    username: Text = Field(description="Name as displayed")
    perfs: dict[str, Perf] | None = Field(None, description="Ratings by category")
    title: Text | None = Field(None, description="Chess title, or BOT")
    createdAt: Since1970 | None = Field(None, description="When the account was opened")  # noqa: N815  # Lichess's name
    seenAt: Since1970 | None = Field(None, description="When it was last online; 0 if never")  # noqa: N815  # Lichess's name
    playTime: PlayTime | None = Field(None, description="Time spent playing")  # noqa: N815  # Lichess's name
    disabled: bool | None = Field(None, description="True for a closed account")
    tosViolation: bool | None = Field(None, description="True for one that broke the rules")  # noqa: N815  # Lichess's name
    patron: bool | None = Field(None, description="Whether the user supports Lichess")
    count: dict[str, int] | None = Field(None, description="Numbers of games; only for a single user")


class Users(RootModel[list[User]]):
    """Users, in the order asked for; unknown ones are missing."""


Point = Annotated[
    tuple[
        Annotated[int, Field(ge=2010, le=2099)],
        Annotated[int, Field(ge=0, le=11)],
        Annotated[int, Field(ge=1, le=31)],
        int,
    ],
    Strict(strict=False),  # JSON has lists only; the numbers in it stay strict
]


class RatingPoints(_Contract):
    """History of one rating."""

    name: Text = Field(description="Category as displayed, e.g. `Blitz`")
    points: list[Point] = Field(description="Year, month from 0, day, rating; at most one a day")


class RatingHistory(RootModel[list[RatingPoints]]):
    """All rating histories of a user; empty for some callers without a token."""


class TvGame(_Contract):
    """The game that a TV channel shows."""

    gameId: str = Field(pattern=r"^[A-Za-z0-9]{8}$", description="Its id")  # noqa: N815  # Lichess's name
    rating: int | None = Field(None, description="Rating of the player shown")
    color: Literal["white", "black"] | None = Field(None, description="Side of the player shown")


class TvChannels(RootModel[dict[str, TvGame]]):
    """What every TV channel shows, by its key."""


CONTRACTS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("GET /api/games/user/{name}, a line", Game),
    ("GET /game/export/{id}", Game),
    ("POST /api/games/export/_ids, a line", Game),
    ("GET /api/tv/{channel}, a line", Game),
    ("POST /api/users", Users),
    ("GET /api/user/{name}/rating-history", RatingHistory),
    ("GET /api/tv/channels", TvChannels),
)
"""Which answer keeps which contract."""

AnyContract = TypeVar("AnyContract", bound=BaseModel)


class GameDocument(NamedTuple):
    """A game as it arrived, with what we need to know to store it."""

    id_game: str
    created_ms: int
    status: str
    users: tuple[str | None, str | None]
    """Ids of White and Black; None for anonymous players and the computer."""
    document: bytes
    """The JSON text, without the secret `fullId`."""
    val_hash: str
    """SHA-256 of `document`, hexadecimal."""

    @property
    def is_finished(self) -> bool:
        """Whether the game is over."""
        return self.status not in RUNNING


def read_json(text: bytes) -> Any:  # noqa: ANN401  # JSON is anything
    """Parse JSON that says everything once. Raises LineBroken otherwise."""
    try:
        value = orjson.loads(text)
        json.loads(text, object_pairs_hook=_once)  # orjson silently takes the last of two equal keys
    except (ValueError, RecursionError) as error:
        raise LineBroken(f"not JSON: {str(error)[:120]}") from error
    return value


def keep(contract: type[AnyContract], value: object, where: str) -> AnyContract:
    """The value, if it keeps the contract. Raises ContractBroken with field, rule and example; `where` names it."""
    try:
        return contract.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = ".".join(str(part) for part in first["loc"]) or "the whole answer"
        got = excerpt(repr(first["input"]).encode(), longest=80)
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise ContractBroken(f"{where}: {path}: {first['msg'].lower()}, got {got}{more}") from error


def read_game(line: bytes, where: str) -> GameDocument:
    """One game of an export. Raises LineBroken, ContractBroken or, for an error in its place, SourceComplains."""
    text = line.strip().removeprefix(BOM)
    value = read_json(text)
    if not isinstance(value, dict):
        raise LineBroken("not a JSON object")
    if "error" in value and "id" not in value:
        raise SourceComplains(f"{where}: an error instead of a game: {excerpt(text)}")
    game = keep(Game, value, f"{where}, game {excerpt(str(value.get('id')).encode(), longest=20)}")
    if value.pop("fullId", None) is not None:
        text = orjson.dumps(value)
    sides = (game.players.white, game.players.black)
    users = tuple(side.user.id if side.user else None for side in sides)
    return GameDocument(game.id, game.createdAt, game.status, (users[0], users[1]), text, sha256(text).hexdigest())


def _once(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise LineBroken(f"the key {key[:40]!r} stands twice")
        found[key] = value
    return found
