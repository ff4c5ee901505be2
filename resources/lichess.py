"""Lichess: what we ask of its API, and in which form the answers come."""

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import dagster as dg
import orjson
from pydantic import PrivateAttr

from resources import names
from resources.contracts import (
    ContractBroken,
    GameDocument,
    LineBroken,
    RatingHistory,
    SourceComplains,
    TvChannels,
    Users,
    keep,
    read_game,
    read_json,
)
from resources.errors import UserError
from resources.exchange import Fetch, Request, Response
from resources.http import Access, PoliteClient
from resources.quarantine import Quarantine
from resources.redaction import excerpt
from resources.source_errors import StreamBroken

MOST_IDS = 300
MOST_TV_GAMES = 30
MOST_GAMES = 100_000
FULL = {"moves": "true", "clocks": "true", "evals": "true", "accuracy": "true", "opening": "true", "division": "true"}
LEAN = {"tags": "false", "pgnInJson": "false"}
NDJSON = {"Accept": "application/x-ndjson"}
JSON = {"Accept": "application/json"}

T = TypeVar("T")

_CHANNEL = re.compile(r"[A-Za-z0-9]{2,30}")
_log = logging.getLogger("kshift.lichess")


@dataclass(frozen=True)
class Broken:
    """A line that was set aside."""

    text: bytes
    reason: str
    n_before: int
    """Sound games before it on its page."""


@dataclass(frozen=True)
class Page:
    """Games of one answer, in the order in which they came."""

    games: tuple[GameDocument, ...]
    broken: tuple[Broken, ...]
    asked: int
    """Games asked for at most."""
    cut: str | None
    """What broke the answer off after these games; None if it ended well, which does not say that it was complete."""
    id_fetch: str
    tm_fetched: datetime

    @property
    def is_ascending(self) -> bool:
        """Whether the games came oldest first."""
        times = [game.created_ms for game in self.games]
        return times == sorted(times)


@dataclass(frozen=True)
class UserDocument:
    """A user as Lichess describes them."""

    id_user: str
    is_closed: bool
    document: bytes
    val_hash: str
    id_fetch: str
    tm_fetched: datetime


@dataclass(frozen=True)
class RatingDocument:
    """The rating history of a user: one point a day and category at most."""

    id_user: str
    points: tuple[tuple[str, date, int], ...]
    """Category as displayed, day, rating."""
    document: bytes
    val_hash: str
    id_fetch: str
    tm_fetched: datetime


class Lichess(dg.ConfigurableResource["Lichess"]):
    """Lichess's API for reading. Names are checked before they become URLs, answers before they are believed."""

    url: str
    state: str
    """Folder of locks, quiet times, breakers and the quarantine, shared by all processes."""
    contact: str = ""
    # Not configuration, which Dagster stores and shows: it holds the token.
    access: dg.ResourceDependency[Access] = Access()  # type: ignore[assignment]  # Dagster's descriptor takes the value

    _client: PoliteClient | None = PrivateAttr(default=None)
    _listener: Callable[[Fetch], None] | None = PrivateAttr(default=None)

    def games_of(
        self,
        user: str,
        since_ms: int | None = None,
        until_ms: int | None = None,
        limit: int = 300,
        *,
        running: bool = False,
    ) -> Page:
        """A player's finished games, oldest first, created from `since_ms` on and before `until_ms`, UTC milliseconds.

        With `running`, also those that are not over yet (Lichess shows them with a little delay).

        An answer may end before the last game: ask again from the last one until nothing new comes. Raises NotThere
        for a name that does not exist or closed, and the other SourceErrors.
        """
        name = names.user_id(user)
        since, until = names.window(since_ms, until_ms)
        asked = names.whole_number(limit, "the number of games", 1, MOST_GAMES)
        span = {key: value for key, value in (("since", since), ("until", until)) if value is not None}
        request = Request(
            f"/api/games/user/{name}",
            {
                **span,
                "max": asked,
                "sort": "dateAsc",
                "finished": "true",
                "ongoing": str(running).lower(),
                **FULL,
                **LEAN,
            },
            headers=NDJSON,
        )
        return self._ask(request, lambda response: _page(response, asked, lambda game: _is_of(game, name)))

    def game(self, id_game: str) -> Page:
        """One game by its id, over or not; a page of one."""
        wanted = names.game_id(id_game)
        request = Request(f"/game/export/{wanted}", {**FULL, **LEAN}, headers=JSON)
        return self._ask(request, lambda response: _page(response, 1, lambda game: _is_one_of(game, {wanted})))

    def games_by_ids(self, ids: Sequence[str]) -> Page:
        """Up to 300 games by their ids, over or not, in any order; unknown ones are missing."""
        wanted = {names.game_id(one) for one in ids}
        names.whole_number(len(wanted), "the number of games asked for by id", 1, MOST_IDS)
        request = Request(
            "/api/games/export/_ids",
            {**FULL, **LEAN},
            method="POST",
            headers={**NDJSON, "Content-Type": "text/plain"},
            content=",".join(sorted(wanted)).encode("ascii"),
        )
        return self._ask(request, lambda response: _page(response, len(wanted), lambda game: _is_one_of(game, wanted)))

    def tv_games(self, channel: str, nb: int = MOST_TV_GAMES) -> Page:
        """Games that run now on a TV channel."""
        if not _CHANNEL.fullmatch(channel):
            raise UserError(f"{channel[:40]!r} is not a TV channel: see https://lichess.org/tv")
        asked = names.whole_number(nb, "the number of TV games", 1, MOST_TV_GAMES)
        request = Request(
            f"/api/tv/{channel}",
            {"nb": asked, "moves": "true", "clocks": "true", "opening": "true", **LEAN},
            headers=NDJSON,
        )
        return self._ask(request, lambda response: _page(response, asked, lambda _: None))

    def tv_channels(self) -> dict[str, str]:
        """Channel → id of the game that it shows."""
        request = Request("/api/tv/channels", headers=JSON)
        channels = self._ask(request, lambda response: keep(TvChannels, _value(response), response.what))
        return {key: game.gameId for key, game in channels.root.items() if _CHANNEL.fullmatch(key)}

    def users(self, ids: Sequence[str]) -> tuple[UserDocument, ...]:
        """Up to 300 users; unknown ones are missing, closed accounts say so and little else."""
        wanted = list(dict.fromkeys(names.user_id(one) for one in ids))
        names.whole_number(len(wanted), "the number of users asked for", 1, MOST_IDS)
        request = Request(
            "/api/users",
            {"profile": "true", "rank": "false"},
            method="POST",
            headers={**JSON, "Content-Type": "text/plain"},
            content=",".join(wanted).encode("ascii"),
        )
        return self._ask(request, lambda response: _users(response, set(wanted)))

    def rating_history(self, user: str) -> RatingDocument:
        """All rating histories of a user; often empty without a token."""
        name = names.user_id(user)
        request = Request(f"/api/user/{name}/rating-history", headers=JSON)
        return self._ask(request, lambda response: _rating_history(response, name))

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:  # noqa: ARG002  # Dagster calls it so
        """Give the connection back when a run ends."""
        if self._client is not None:
            self._client.close()

    @property
    def state_folder(self) -> Path:
        """Folder of locks, quiet times and breakers."""
        return Path(self.state)

    @property
    def quarantine(self) -> Quarantine:
        """Where lines and answers go that cannot be believed."""
        return Quarantine(self.state_folder / "quarantine")

    @contextmanager
    def telling(self, listener: Callable[[Fetch], None]) -> Iterator[None]:
        """In this block, `listener` hears of every request, answered or not. It should only take note."""
        before, self._listener = self._listener, listener
        try:
            yield
        finally:
            self._listener = before

    def _ask(self, request: Request, read: Callable[[Response], T]) -> T:
        try:
            answer = self._connected().ask(request, read)
        except ContractBroken as error:
            kept = self.quarantine.keep(error.page, str(request), str(error), self._now())
            _log.error("%s; the answer is kept in %s", error, kept)
            raise
        if isinstance(answer, Page):
            for line in answer.broken:
                kept = self.quarantine.keep(line.text, str(request), line.reason, answer.tm_fetched)
                _log.warning("lichess, %s: a line was set aside (%s), see %s", request, line.reason, kept)
        return answer

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self.access.clock.wall()).astimezone()

    def _connected(self) -> PoliteClient:
        if self._client is None:
            self._client = PoliteClient(
                self.url,
                source="lichess",
                state=self.state_folder,
                contact=self.contact,
                access=self.access,
                on_fetch=lambda fetch: self._listener(fetch) if self._listener else None,
            )
        return self._client


def _is_of(game: GameDocument, user: str) -> str | None:
    return None if user in game.users else f"another user's game ({game.id_game})"


def _is_one_of(game: GameDocument, wanted: set[str]) -> str | None:
    return None if game.id_game in wanted else f"a game that was not asked for ({game.id_game})"


def _page(response: Response, asked: int, objection: Callable[[GameDocument], str | None]) -> Page:
    """Read games to the end of the answer; `objection` says why a sound game does not belong here, or None."""
    games: list[GameDocument] = []
    broken: list[Broken] = []
    cut: str | None = None
    try:
        for line in response.lines():
            _must_be_no_web_page(response, line.data)
            if line.is_too_long:
                broken.append(Broken(line.data, f"a line longer than {len(line.data):,} bytes", len(games)))
                continue
            try:
                game = read_game(line.data, response.what)
            except LineBroken as error:
                if line.is_ended:
                    broken.append(Broken(line.data, str(error), len(games)))
                else:
                    cut = f"{response.what}: the answer ended in the middle of a line"
                continue
            if reason := objection(game):
                broken.append(Broken(line.data, reason, len(games)))
            else:
                games.append(game)
    except (StreamBroken, SourceComplains) as error:
        if not games:
            raise
        cut = str(error)
    except ContractBroken as error:
        error.page = line.data
        raise
    if broken and not games:
        page = b"\n".join(line.text for line in broken)
        raise ContractBroken(
            f"{response.what}: none of {len(broken)} lines is a game: {broken[0].reason}, got {excerpt(page)}", page
        )
    return Page(tuple(games), tuple(broken), asked, cut, response.id_fetch, response.tm_started)


def _must_be_no_web_page(response: Response, text: bytes) -> None:
    if text.lstrip().startswith(b"<"):
        raise ContractBroken(f"{response.what}: a web page instead of data: {excerpt(text)}", text)


def _value(response: Response) -> Any:  # noqa: ANN401  # JSON is anything
    """The answer as JSON, or why it is none."""
    body = response.body()
    _must_be_no_web_page(response, body)
    try:
        value = read_json(body.strip().removeprefix(b"\xef\xbb\xbf"))
    except LineBroken as error:
        raise ContractBroken(f"{response.what}: {error}, got {excerpt(body)}", body) from error
    if isinstance(value, dict) and isinstance(value.get("error"), str):
        raise SourceComplains(f"{response.what}: an error instead of data: {excerpt(body)}")
    return value


def _users(response: Response, wanted: set[str]) -> tuple[UserDocument, ...]:
    value = _value(response)
    users = keep(Users, value, response.what).root
    response.n_rows = len(users)
    found = []
    for user, document in zip(users, value, strict=True):
        if user.id not in wanted:
            raise ContractBroken(f"{response.what}: the user {excerpt(user.id.encode())} was not asked for")
        text = orjson.dumps(document)
        found.append(
            UserDocument(
                user.id, bool(user.disabled), text, sha256(text).hexdigest(), response.id_fetch, response.tm_started
            )
        )
    return tuple(found)


def _rating_history(response: Response, user: str) -> RatingDocument:
    value = _value(response)
    histories = keep(RatingHistory, value, response.what).root
    points = []
    for history in histories:
        for year, month_from_0, day, rating in history.points:
            try:
                points.append((history.name, date(year, month_from_0 + 1, day), rating))
            except ValueError as error:
                raise ContractBroken(
                    f"{response.what}: {history.name}.points: no such day, got {[year, month_from_0, day]}"
                ) from error
    response.n_rows = len(points)
    text = orjson.dumps(value)
    return RatingDocument(user, tuple(points), text, sha256(text).hexdigest(), response.id_fetch, response.tm_started)
