"""`kshift`: everything a user does with a lakehouse, from the sample to the published answers."""

import json
import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import stamina
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from stamina.instrumentation import LoggingOnRetryHook

from resources.errors import UserError
from resources.settings import Settings, load_settings

if TYPE_CHECKING:  # Dagster takes a second to import: `kshift --help` and `kshift sql` do without
    from dagster import DagsterInstance

    from kshift_assets.runs import Batch, Listener, Outcome, Runner
    from resources.snapshots import Snapshots

ROOT = Path(__file__).parents[1]

app = typer.Typer(
    help="KnightShift: a lakehouse for the games people play.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
console = Console()
errors = Console(stderr=True)


def main() -> None:
    """Run a command: a UserError becomes one sentence and exit code 2."""
    logging.basicConfig(level=logging.ERROR, format="%(message)s")
    # Its own choice prints each retry to standard output, where answers go.
    stamina.instrumentation.set_on_retry_hooks([LoggingOnRetryHook])
    try:
        app()
    except UserError as error:
        errors.print(f"[red]kshift:[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(2)


@app.command()
def run(
    selection: Annotated[
        str, typer.Argument(help="Assets in Dagster's selection syntax, e.g. 'chess/games' or 'group:\"chess/*\"'.")
    ],
    partition: Annotated[str | None, typer.Option(help="One month, e.g. 2013-01.")] = None,
    first: Annotated[str | None, typer.Option("--from", help="First month of a range.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last month of a range.")] = None,
) -> None:
    """Make assets anew: one month, a range of months, or every month that has data."""
    months = _months(partition, first, last)
    with _runner() as (runner, settings):
        from kshift_assets.chess.engine_assets import refuse_without_engine
        from kshift_assets.chess.tables import PLAYER_GAMES, TV_GAMES
        from kshift_assets.definitions import engine_of

        keys = runner.select(selection)
        refuse_without_engine(runner.graph, keys, engine_of(settings))
        # Without a month, what is new is fetched, over all months at once.
        at_once = {PLAYER_GAMES.key, TV_GAMES.key} if months is None else set()
        batches = runner.plan(keys, months, at_once)
        _finish(_shown(lambda listen: runner.run_all(batches, listen)))


@app.command()
def ingest() -> None:
    """Fetch what is new for the tracked players, and carry it through to the published snapshot."""
    settings = load_settings()
    with _runner(settings) as (runner, settings):
        _finish(_shown(lambda listen: _ingest(runner, settings, listen)))


@app.command()
def crawl(
    budget: Annotated[int, typer.Option(min=1, help="How many players to fetch at most.")],
    requests: Annotated[int, typer.Option(min=0, help="How many requests to make at most; 0 for no limit.")] = 0,
) -> None:
    """Fetch tracked players and their opponents who are due, nearest first, and carry it through to published.

    Opponents are followed as far as `kshift track --depth` said. See lichess.players_frontier for who is due when.
    """
    with _runner() as (runner, settings):
        _finish(_shown(lambda listen: _crawl(runner, settings, (budget, requests), listen)))


@app.command()
def track(
    names: Annotated[list[str], typer.Argument(help="Lichess user names.")],
    depth: Annotated[int, typer.Option(min=0, max=5, help="How many steps of opponents to follow as well.")] = 0,
) -> None:
    """Follow players: `kshift ingest` fetches their games."""
    _say(names, tracked=True, depth=depth)


@app.command()
def untrack(names: Annotated[list[str], typer.Argument(help="Lichess user names.")]) -> None:
    """Forget players: what is stored of them stays."""
    _say(names, tracked=False, depth=0)


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help='One query, e.g. "SELECT count(*) FROM chess.games".')],
    form: Annotated[str, typer.Option("--format", help="table, csv or json.")] = "table",
) -> None:
    """Query the published data, read-only."""
    from serving.sql import FORMATS, ask, connect, write

    if form not in FORMATS:
        raise UserError(f"{form!r} is not a format: choose from {', '.join(FORMATS)}")
    settings = load_settings()
    with connect(settings.published / "latest.duckdb", [settings.lake_uri]) as connection:
        write(ask(connection, query), form)


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,  # noqa: FBT002  # a flag of the command line
) -> None:
    """Freshness, rows, checks and last run of each table; exit code 1 if one is stale or failed."""
    from serving import status as states

    with _runner() as (runner, settings):
        catalog = _snapshots(settings).latest()
        found = states.states(
            runner.graph, runner.instance, catalog, settings.published / "latest.duckdb", settings.lake_uri
        )
    if as_json:
        print(json.dumps({"snapshot": (catalog or {}).get("snapshot"), "tables": states.as_records(found)}, indent=1))  # noqa: T201  # the command's answer
    else:
        states.write_table(found, catalog, console)
    raise typer.Exit(1 if states.is_bad(found) else 0)


@app.command()
def up(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the web UI on 127.0.0.1.")] = 3000,
) -> None:
    """Dagster's web UI and daemon, until Ctrl-C."""
    from kshift_assets.definitions import find_plugins
    from serving.webserver import Services, refuse_taken

    settings = load_settings()
    refuse_taken(port)
    find_plugins()  # a broken one is told here in a sentence, not in the UI in thirty lines
    _prepare(settings)
    environment = os.environ | {"KSHIFT_HOME": str(settings.home), "DAGSTER_HOME": str(settings.dagster_home)}
    if code := Services(ROOT / "workspace.yaml", port, environment).run(console):
        errors.print("[red]Dagster ended by itself.[/] Its last words stand above", soft_wrap=True)
    raise typer.Exit(code)


@app.command()
def demo() -> None:
    """The whole way on the embedded sample: replayed by a local server, through the ordinary ingestion."""
    from serving.demo import SAMPLE, sample_months, sample_players
    from serving.replay import ReplayServer
    from serving.replay_world import World

    world = World.load(SAMPLE)
    with ReplayServer(world) as server:
        settings = load_settings(
            lichess_url=server.url,
            lichess_dump_url=server.url,
            dump_dir=None,
            players=",".join(sample_players()),
            lichess_token=None,
            data_age_days=36_600,  # invented games do not get younger
        )
        console.print(f"Replaying the sample on {server.url} into {settings.home}")
        with _runner(settings) as (runner, _):
            outcomes = _shown(lambda listen: _demo(runner, settings, sample_months(), listen))
    if all(outcome.succeeded for outcome in outcomes):
        _tell_answers(settings)
    _finish(outcomes)


def _months(partition: str | None, first: str | None, last: str | None) -> list[str] | None:
    from kshift_assets.partitions import MONTHS
    from resources.names import month

    if partition and (first or last):
        raise UserError("give either --partition, or --from and --to, not both")
    if bool(first) != bool(last):
        raise UserError("--from and --to belong together: give both, e.g. --from 2024-01 --to 2024-03")
    wanted = [month(text) for text in (partition, first, last) if text]
    if not wanted:
        return None
    known = MONTHS.get_partition_keys()
    for text in wanted:
        if text not in known:
            raise UserError(f"{text} is not a month that Lichess has games of: choose from {known[0]} to {known[-1]}")
    if wanted[0] > wanted[-1]:
        raise UserError(f"--from {wanted[0]} lies after --to {wanted[-1]}: swap them")
    return [text for text in known if wanted[0] <= text <= wanted[-1]]


def _prepare(settings: Settings) -> None:
    """Make the lakehouse's folders, with an instance file for Dagster where there is none."""
    try:
        settings.dagster_home.mkdir(parents=True, exist_ok=True)
        settings.published.mkdir(parents=True, exist_ok=True)
        target = settings.dagster_home / "dagster.yaml"
        if not target.exists():
            shutil.copyfile(ROOT / "dagster.yaml", target)
    except OSError as error:
        raise UserError(
            f"the folder {settings.home} cannot be written ({error.strerror}): choose another with KSHIFT_HOME"
        ) from error
    os.environ["DAGSTER_HOME"] = str(settings.dagster_home)


@contextmanager
def _runner(settings: Settings | None = None) -> "Iterator[tuple[Runner, Settings]]":
    settings = settings or load_settings()
    _prepare(settings)
    os.environ.setdefault("KSHIFT_HOME", str(settings.home))
    from kshift_assets.definitions import build
    from kshift_assets.runs import Runner

    with _opened(settings.dagster_home) as instance:
        yield Runner(build(settings), instance), settings


def _opened(home: Path) -> "DagsterInstance":
    """Dagster's instance. Two processes that make its databases at the same time would stumble over each other."""
    from dagster import DagsterInstance
    from filelock import FileLock

    with FileLock(home / "opening.lock"):
        instance = DagsterInstance.get()
        # Each storage is made when it is first asked for.
        _ = instance.run_storage, instance.event_log_storage, instance.schedule_storage
    return instance


def _ingest(runner: "Runner", settings: Settings, listen: "Listener") -> "list[Outcome]":
    from kshift_assets.chess.tables import PLAYER_GAMES

    outcomes = runner.run_all(runner.plan([PLAYER_GAMES.key], None, {PLAYER_GAMES.key}), listen)
    return outcomes + _carry_on(runner, settings, listen)


def _carry_on(runner: "Runner", settings: Settings, listen: "Listener") -> "list[Outcome]":
    """Make anew what is behind its sources; in between, ask about players who lack a profile or whose copy is old."""
    from kshift_assets.chess.tables import DUMP_GAMES, PLAYER_GAMES, RATING_HISTORIES, TV_GAMES, USER_PROFILES
    from kshift_assets.published import SNAPSHOT_KEY

    about_players = [USER_PROFILES.key, RATING_HISTORIES.key]
    sources = {PLAYER_GAMES.key, TV_GAMES.key, DUMP_GAMES.key, *about_players}
    max_age = timedelta(hours=settings.fresh_hours)
    # The marts say who plays most; the profiles of those whose games just came are published together with the games.
    outcomes = runner.carry_on({*sources, SNAPSHOT_KEY}, max_age, listen)
    outcomes += runner.run_all(runner.plan(about_players, None), listen)
    return outcomes + runner.carry_on(sources, max_age, listen)


def _crawl(runner: "Runner", settings: Settings, budget: tuple[int, int], listen: "Listener") -> "list[Outcome]":
    from kshift_assets.chess.tables import PLAYER_GAMES, PLAYERS_FRONTIER
    from kshift_assets.runs import Batch

    fetch = Batch((PLAYER_GAMES.key,), None)
    players, requests = budget
    listen(fetch, None)
    fetched = runner.run(fetch, {"player_games": {"crawl_players": players, "crawl_requests": requests}})
    listen(fetch, fetched)
    outcomes = [fetched]
    if not fetched.rows:  # nothing else makes it anew, yet it tells who was fetched
        outcomes += runner.run_all([Batch((PLAYERS_FRONTIER.key,), None)], listen)
    return outcomes + _carry_on(runner, settings, listen)


def _demo(runner: "Runner", settings: Settings, months: Sequence[str], listen: "Listener") -> "list[Outcome]":
    from kshift_assets.chess.tables import DUMP_GAMES, TV_GAMES

    outcomes = runner.run_all(runner.plan([DUMP_GAMES.key], months), listen)
    outcomes += runner.run_all(runner.plan([TV_GAMES.key], None, {TV_GAMES.key}), listen)
    return outcomes + _ingest(runner, settings, listen)


def _shown(work: "Callable[[Listener], list[Outcome]]") -> "list[Outcome]":
    """Do the work with a line for each batch that ended, and what runs now below them."""
    from kshift_assets.runs import Interrupted

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("starting", total=None)

        def listen(batch: "Batch", outcome: "Outcome | None") -> None:
            if outcome is None:
                progress.reset(task, description=str(batch))
                return
            for line in _lines(batch, outcome):
                progress.console.print(line, soft_wrap=True)

        with _told(lambda text: progress.update(task, description=text)):
            try:
                return work(listen)
            except (Interrupted, KeyboardInterrupt):
                errors.print(
                    "[red]Interrupted.[/] What was stored stays: the same command goes on from there.", soft_wrap=True
                )
                raise typer.Exit(1) from None


@contextmanager
def _told(tell: "Callable[[str], None]") -> Iterator[None]:
    """Hand on what long work says of its progress."""
    from kshift_assets.reporting import PROGRESS

    handler = logging.Handler()
    handler.emit = lambda record: tell(record.getMessage())  # type: ignore[method-assign]  # the whole of this one
    level = PROGRESS.level
    PROGRESS.setLevel(logging.INFO)
    PROGRESS.addHandler(handler)
    try:
        yield
    finally:
        PROGRESS.removeHandler(handler)
        PROGRESS.setLevel(level)


def _lines(batch: "Batch", outcome: "Outcome") -> Iterator[str]:
    for name, rows in outcome.rows.items():
        month = f" {batch.month}" if batch.month and batch.month not in name else ""
        yield f"[green]done[/]    {escape(name)}{month}: {rows:,} rows"
    if outcome.succeeded and not outcome.rows:
        yield f"[green]done[/]    {escape(str(batch))}: nothing new"
    for warning in outcome.warnings:
        yield f"[yellow]warning[/] {escape(warning)}"
    for problem in outcome.problems:
        yield f"[red]failed[/]  {escape(str(batch))}: {escape(problem)}"


def _finish(outcomes: "Sequence[Outcome]") -> None:
    """Exit with 1 if anything failed: what was stored stays, and the next run goes on from there."""
    failed = [outcome for outcome in outcomes if not outcome.succeeded]
    if not outcomes:
        console.print("Nothing to do: everything is up to date.")
    if failed:
        errors.print(
            f"[red]{len(failed)} of {len(outcomes)} runs failed.[/] What was stored stays: "
            "run it again once the cause is gone.",
            soft_wrap=True,
        )
        raise typer.Exit(1)


def _say(names: Sequence[str], *, tracked: bool, depth: int) -> None:
    settings = load_settings()
    from kshift_assets.chess import tracking
    from resources.lake import Lake

    lake = Lake(uri=settings.lake_uri)
    tracking.say(lake, names, tracked=tracked, depth=depth)
    followed = tracking.tracked(lake, settings.players)
    console.print(f"{len(followed)} followed: {', '.join(followed) or 'nobody'}", soft_wrap=True)
    if tracked:
        console.print("Fetch their games with: kshift ingest")


def _snapshots(settings: Settings) -> "Snapshots":
    from resources.snapshots import Snapshots

    return Snapshots(folder=str(settings.published))


def _tell_answers(settings: Settings) -> None:
    """What landed, one answer worth reading, and what to type next."""
    from serving.demo import QUESTION
    from serving.sql import ask, connect, write

    catalog = _snapshots(settings).latest() or {"tables": {}}
    console.print("\n[bold]What landed[/]")
    for name, table in catalog["tables"].items():
        if table["rows"]:
            console.print(f"  {name:<28}{table['rows']:>10,} rows")
    console.print("\n[bold]Which openings pay for White?[/] Points per game in percent, from marts.opening_results:")
    with connect(settings.published / "latest.duckdb", [settings.lake_uri]) as connection:
        write(ask(connection, QUESTION), "table")
    console.print("Next:")
    for command in (
        'kshift sql "SELECT * FROM marts.player_summary ORDER BY n_games DESC LIMIT 10"',
        "kshift status",
        "kshift up",
    ):
        console.print(f"  [bold]{escape(command)}[/]", soft_wrap=True)


if __name__ == "__main__":
    main()
