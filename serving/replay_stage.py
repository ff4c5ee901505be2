"""The replay server without its sockets: it takes a question, keeps the ledger, follows the plan, gives a script."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from serving.replay_api import Answer, Question, answer, too_many
from serving.replay_wire import NO_FAULT, Plan, Script, script
from serving.replay_world import World

TOO_MANY = 429


@dataclass(frozen=True)
class Manners:
    """How strict and how fast the server is."""

    is_one_at_a_time: bool = False
    """Answers 429 to a request that comes while another is in flight."""
    quiet_seconds: float = 60.0
    """Silence that the ledger expects after a 429."""
    games_per_second: float | None = None
    """Throttle of exports; Lichess's own are 20, 30 with a token, 60 for one's own games."""
    has_blank_lines: bool = False
    """Sends a blank line before each game, as streams do to keep a connection alive."""


@dataclass
class Asked:
    """One request in the ledger. Times are seconds on the stage's clock."""

    number: int
    question: Question
    started: float
    n_together: int
    """Other requests in flight when it came."""
    is_early: bool
    """It came in the silence after a 429."""
    is_gone: Callable[[], bool]
    """Whether its client has gone away."""
    status: int = 0
    ended: float | None = None
    n_games: int = 0
    fault: str = ""


@dataclass
class Ledger:
    """Every request, and whether it broke a rule of polite behaviour: the oracle of the tests."""

    asked: list[Asked] = field(default_factory=list)
    quiet_until: float = 0.0

    @property
    def together(self) -> list[Asked]:
        """Requests that came while another was in flight."""
        return [one for one in self.asked if one.n_together]

    @property
    def early(self) -> list[Asked]:
        """Requests that came in the silence after a 429."""
        return [one for one in self.asked if one.is_early]


class Stage:
    """One world, one plan, one ledger."""

    def __init__(
        self,
        world: World,
        plan: Plan | None = None,
        manners: Manners | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`plan` says for each request what goes wrong; none means that nothing does."""
        self.world, self.plan, self.manners, self.ledger = world, plan, manners or Manners(), Ledger()
        self._clock = clock
        self._in_flight: dict[int, Asked] = {}

    def open(self, question: Question, is_gone: Callable[[], bool] = lambda: False) -> tuple[Asked, Script]:
        """A request has come: write it down and say what to send."""
        now = self._clock()
        for other in [one for one in self._in_flight.values() if one.is_gone()]:
            self.close(other)
        together = len(self._in_flight)
        asked = Asked(len(self.ledger.asked), question, now, together, now < self.ledger.quiet_until, is_gone)
        self.ledger.asked.append(asked)
        self._in_flight[asked.number] = asked
        fault = (self.plan(asked.number, question) if self.plan else None) or NO_FAULT
        if self.manners.is_one_at_a_time and together:
            sent = script(too_many(), NO_FAULT)
        else:
            sent = script(self._answer(question), fault)
        asked.status, asked.fault, asked.n_games = sent.status, fault.name, sent.n_games
        if sent.status == TOO_MANY:
            self.ledger.quiet_until = max(self.ledger.quiet_until, now + self.manners.quiet_seconds)
        return asked, sent

    def close(self, asked: Asked) -> None:
        """A request is over: all was sent, or its client has gone."""
        if self._in_flight.pop(asked.number, None):
            asked.ended = self._clock()

    def _answer(self, question: Question) -> Answer:
        usual = answer(self.world, question)
        if self.manners.has_blank_lines and usual.n_games and usual.length is None:
            return replace(usual, pieces=tuple(_with_blank_lines(usual.pieces)))
        return usual


def _with_blank_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        yield b"\n"
        yield piece
    yield b"\n"
