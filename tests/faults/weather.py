"""The faults of the matrix: for each row, what may go wrong with an answer, drawn by chance from a seed."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from random import Random

import httpx
import orjson
from clocks import HandClock
from faults.books import players_of

from serving.replay_api import Answer, Question, error
from serving.replay_wire import Ending, Fault, lines
from serving.replay_world import Document
from worlds import game

LONG_LINE = 70_000
"""Bytes; simulated trials allow lines of less, so that a long one costs nothing."""
MOST_DAMAGE = 2
"""Times that one game's line is damaged: one that stays unreadable is passed over and told, which is another test."""
STRAY = 60_000_000
"""Numbers from here on are games that belong to nobody who is followed."""

Kind = Callable[["Weather"], Fault | None]


@dataclass
class Weather:
    """What happens to the requests of one trial."""

    chance: Random
    clock: HandClock
    kinds: Sequence[Kind]
    share: float = 0.35
    """Of requests that go wrong, while the weather is bad."""
    roads: Sequence[Callable[[], httpx.TransportError]] = ()
    """Why a request may not even reach the server; in simulations only."""
    is_bad: bool = True
    question: Question | None = None
    """The request whose answer is at stake."""
    was_end: bool = False
    """The last answer to such a question looked like the end of all games: two in a row are believed, and nobody
    could tell."""
    ends: dict[str, bool] = field(default_factory=dict)
    """Path → whether that was so."""
    damage: Counter[bytes] = field(default_factory=Counter)
    page: list[bytes] | None = None
    tries: list[tuple[float, bool]] = field(default_factory=list)
    """When a request was tried, and whether the weather was in its way."""

    def fault(self, _: int, question: Question) -> Fault | None:
        """The plan that the stage follows."""
        wrong, self.question = None, question
        self.was_end = self.ends.get(question.path, False)
        if self.is_bad and self.chance.random() < self.share:
            wrong = self.chance.choice(self.kinds)(self) if self.kinds else None
        self.ends[question.path] = wrong is not None and wrong.name.startswith("end")
        self.tries.append((self.clock.steady(), wrong is not None))
        return wrong

    def unreachable(self) -> httpx.TransportError | None:
        """Asked by the simulated transport before the stage is."""
        if not (self.roads and self.is_bad and self.chance.random() < self.share / 2):
            return None
        self.tries.append((self.clock.steady(), True))
        return self.chance.choice(self.roads)()


# H1


def too_many(weather: Weather) -> Fault:
    """429, with a `Retry-After` of any form or none."""
    chance, seconds = weather.chance, weather.chance.choice((1, 5, 90, 120, 600, 4_000, 100_000))
    now = datetime.now(UTC)  # of the server, which sends it along
    date = format_datetime(now + timedelta(seconds=seconds), usegmt=True)
    value, is_read = chance.choice(
        (
            (None, False),
            (None, False),
            (str(seconds), True),
            (date, True),
            ("soon", False),
            ("-5", False),
            ("1e9", False),
        )
    )
    headers = () if value is None else (("Retry-After", value), ("Date", format_datetime(now, usegmt=True)))
    name = f"429 for {seconds}" if is_read else "429"

    def refuse(_: Answer) -> Answer:
        refused = error(429, "Error 429: Too many requests! Try again later.")
        return replace(refused, headers=(*refused.headers, *headers))

    return Fault(change=refuse, name=name)


def plain_too_many(_: Weather) -> Fault:
    """429 as Lichess sends it."""
    return Fault(change=lambda _: error(429, "Error 429: Too many requests! Try again later."), name="429")


# H2


def failed(weather: Weather) -> Fault:
    """A status that says 'not now'."""
    status = weather.chance.choice((500, 502, 503, 504))
    return Fault(change=lambda _: error(status, "on purpose"), name=str(status))


def reset_before_answer(_: Weather) -> Fault:
    """A reset instead of an answer."""
    return Fault(Ending.REFUSED, name="reset")


def slow_head(weather: Weather) -> Fault:
    """No answer for longer than anybody waits."""
    return Fault(Ending.REFUSED, seconds=weather.chance.uniform(61, 500), name="slow")


NO_ROAD: tuple[Callable[[], httpx.TransportError], ...] = (
    lambda: httpx.ConnectError("[Errno 111] Connection refused"),
    lambda: httpx.ConnectError("[Errno -2] Name or service not known"),
    lambda: httpx.ConnectTimeout("timed out"),
    lambda: httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED]"),
)

# H3, H4: where an answer is cut is only known once it is there, so a cut is a change with an ending of its own


def cut(*endings: Ending) -> Kind:
    """A cut anywhere: at any byte, at a line's end, in the middle of a line."""

    def kind(weather: Weather) -> Fault:
        return Fault(weather.chance.choice(endings), _cut_at(weather), name="cut")

    return kind


def clean_cut(weather: Weather) -> Fault | None:
    """A cut that no HTTP client notices."""
    chance, at = weather.chance, _cut_at(weather)
    if weather.was_end:
        return None
    name = "end: cut"  # what is cut at a line's end may hold nothing new
    if chance.random() < 0.4:
        return Fault(Ending.CLOSED, at, is_unframed=True, name=name)
    return Fault(Ending.CLEAN, at, name=name)


def cut_gzip(weather: Weather) -> Fault:
    """Packed, and cut; or whole, which is no fault but must be read."""
    if weather.chance.random() < 0.3:
        return Fault(is_packed=True, name="packed")
    return Fault(Ending.CLEAN, weather.chance.randint(1, 700), is_packed=True, name="cut gzip")


def _cut_at(weather: Weather) -> int:
    size = len(orjson.dumps(game(0, 1_709_251_200_000))) + 1  # most lines of a trial's world are as long
    lines_whole, inside = weather.chance.randint(0, 8), weather.chance.randint(1, size - 1)
    return lines_whole * size + weather.chance.choice((0, 0, inside, -1 if lines_whole else inside))


# H5


def other_content(weather: Weather) -> Fault | None:
    """200, and something else than was asked for."""
    texts = (
        b"",
        b"\n\n",
        b"<!DOCTYPE html><html></html>",
        b'{"error":"oops"}\n',
        b"[]",
        b"\xef\xbb\xbf",
        b"null\n",
        b"{",
    )
    text = weather.chance.choice(texts)
    is_empty = not text.strip()
    if is_empty and weather.was_end:
        return None
    name = "end: empty" if is_empty else "other content"
    return Fault(change=lambda answer: replace(answer, pieces=(text,)), name=name)


def strange_lines(weather: Weather) -> Fault:
    """Lines among the games that are none, or not this player's; a byte-order mark; blanks."""

    def insert(found: list[bytes]) -> list[bytes]:
        number = STRAY + weather.chance.randrange(1_000)
        created = orjson.loads(found[-1])["createdAt"] if found else 1_709_251_200_000
        strange = (
            orjson.dumps(game(number, created, white="stray_a", black="stray_b")) + b"\n",
            b"\x00\x01\x02\n",
            b'{"id":"Zz000001","id":"Zz000002","rated":true}\n',
            b'{"id":"' + b"x" * LONG_LINE + b'"}\n',
            b"\n \r\n",
            b"[1,2]\n",
            b"\xff\xfe\n",
        )
        mixed = list(found)
        for line in weather.chance.sample(strange, weather.chance.randint(1, 3)):
            mixed.insert(weather.chance.randint(0, len(mixed)), line)
        return [b"\xef\xbb\xbf" + mixed[0], *mixed[1:]]

    return Fault(change=lines(insert), name="strange lines")


def damaged_line(weather: Weather) -> Fault:
    """One line arrives damaged."""

    def damage(found: list[bytes]) -> list[bytes]:
        places = [place for place, line in enumerate(found) if weather.damage[line] < MOST_DAMAGE]
        if not places:
            return found
        place = weather.chance.choice(places)
        weather.damage[found[place]] += 1
        at, mark = weather.chance.randrange(1, 20), weather.chance.randbytes(6).hex().encode()
        broken = found[place][:at] + b"\x00" + mark + found[place][at:]
        return [*found[:place], broken, *found[place + 1 :]]

    return Fault(change=lines(damage), name="damaged line")


def error_in_the_middle(weather: Weather) -> Fault:
    """The server gives up in the middle, and says so in a line."""

    def give_up(found: list[bytes]) -> list[bytes]:
        return [*found[: weather.chance.randint(0, len(found))], b'{"error":"Internal server error"}\n']

    return Fault(change=lines(give_up), name="error in the middle")


# H6


def twice(weather: Weather) -> Fault:
    """Lines twice, or the whole page."""
    if weather.chance.random() < 0.5:
        return Fault(change=lines(lambda found: found + found), name="page twice")
    return Fault(change=lines(lambda found: [line for line in found for _ in range(2)]), name="lines twice")


def out_of_order(weather: Weather) -> Fault:
    """Shuffled or reversed."""

    def shuffle(found: list[bytes]) -> list[bytes]:
        return weather.chance.sample(found, len(found)) if weather.chance.random() < 0.5 else found[::-1]

    return Fault(change=lines(shuffle), name="out of order")


def earlier_page(weather: Weather) -> Fault | None:
    """The page that was sent last to such a fault, from some cache: this player's or another's.

    Not one that skips games and yet passes for the right answer, since it holds this player's games alone, of the time
    asked for, from the game on that was asked from. Who asks once cannot tell; to ask Lichess for every page twice
    would be worse than what the look-back heals.
    """
    question = weather.question
    if weather.was_end or question is None:
        return None

    def replay(found: list[bytes]) -> list[bytes]:
        before, weather.page = weather.page, found
        return found if before is None or _skips_unseen(before, found, question) else before

    return Fault(change=lines(replay), name="end: earlier page")


def later_page(weather: Weather) -> Fault | None:
    """The answer to a later question: the first games are missing, unless nobody could tell (see `earlier_page`)."""
    question, n_missing = weather.question, weather.chance.randint(1, 3)
    if weather.was_end or question is None:
        return None

    def shorten(found: list[bytes]) -> list[bytes]:
        return found if _skips_unseen(found[n_missing:], found, question) else found[n_missing:]

    return Fault(change=lines(shorten), name="end: later page")


def _skips_unseen(page: list[bytes], right: list[bytes], question: Question) -> bool:
    if all(line == other for line, other in zip(page, right, strict=False)):
        return False  # less of the right answer, or more
    player, since, until = question.path.rsplit("/", 1)[1], *map(question.params.get, ("since", "until"))
    games = [orjson.loads(line) for line in page]
    times = [one["createdAt"] for one in games]
    is_in_time = (since is None or min(times) >= int(since)) and (until is None or max(times) < int(until))
    # A stretch of time that has an end is gone through from its beginning, where no game need be.
    begins_right = since is None or until is not None or int(since) in times
    return is_in_time and begins_right and all(player in players_of(one) for one in games)


@dataclass(frozen=True)
class Row:
    """One row of the matrix."""

    name: str
    fault: str
    kinds: tuple[Kind, ...] = ()
    roads: tuple[Callable[[], httpx.TransportError], ...] = ()
    share: float = 0.35
    has_months: bool = False
    """Some trials fill months instead of following players."""
    has_breaker_watch: bool = False
    """Every fault of this row counts for the breaker, so that its pauses can be checked."""
    turns: frozenset[str] = frozenset()
    """What else happens: `late`, `crowd` (one millisecond), `kills`, `others` (processes), `clock`, `names`."""


_CUTS = cut(Ending.RESET, Ending.CLOSED, Ending.IN_CHUNK, Ending.IN_CHUNK_HEAD, Ending.STALLED)

ROWS = {
    row.name: row
    for row in (
        Row("H1", "429 with and without Retry-After", (too_many,), has_breaker_watch=True),
        Row(
            "H2",
            "5xx, refused, reset, no name",
            (failed, reset_before_answer, slow_head),
            NO_ROAD,
            has_breaker_watch=True,
        ),
        Row("H3", "cut with an error; stalled", (_CUTS,), has_months=True),
        Row("H4", "cut without an error", (clean_cut, cut_gzip), has_months=True),
        Row(
            "H5",
            "content that is something else",
            (other_content, strange_lines, damaged_line, error_in_the_middle),
            turns=frozenset({"names"}),
        ),
        Row(
            "H6",
            "twice, again, out of order, crowds",
            (twice, out_of_order, earlier_page, later_page),
            has_months=True,
            turns=frozenset({"crowd"}),
        ),
        Row("H7", "late ends, analysis, 404, 410", (), turns=frozenset({"late"})),
        Row("H8", "killed at any step", (_CUTS,), share=0.1, turns=frozenset({"kills"})),
        Row("H10", "several processes at once", (clean_cut,), share=0.1, turns=frozenset({"others"})),
        Row("H11", "clock set, machine restarted", (plain_too_many,), share=0.15, turns=frozenset({"clock", "late"})),
        Row(
            "all",
            "all of these together",
            (
                too_many,
                failed,
                _CUTS,
                clean_cut,
                cut_gzip,
                other_content,
                strange_lines,
                damaged_line,
                twice,
                out_of_order,
            ),
            NO_ROAD,
            share=0.3,
            turns=frozenset({"crowd", "kills", "others", "clock", "names"}),
        ),
    )
}


def with_strange_names(document: Document) -> Document:
    """The same game against somebody whose name holds line ends that are none."""
    black = document["players"]["black"]
    user = {**black["user"], "name": "B\u2028o\u0085b\u2029"}
    return {**document, "players": {**document["players"], "black": {**black, "user": user}}}
