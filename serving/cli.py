"""`kshift`: everything a user does with a lakehouse, from the sample to the published answers."""

import atexit
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import stamina
import typer
from rich.console import Console
from rich.markup import escape
from stamina.instrumentation import LoggingOnRetryHook

from resources.disk_errors import disk_trouble
from resources.errors import UserError
from resources.settings import Settings, load_settings
from serving import backup_commands, service_commands, snapshot_commands, upkeep_commands
from serving.home import open_instance, prepare
from serving.progress import shown

if TYPE_CHECKING:  # Dagster takes a second to import: `kshift --help` and `kshift sql` do without
    from kshift_assets.runs import Listener, Outcome, Runner

app = typer.Typer(
    help="KnightShift: a lakehouse for the games people play.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for commands in (snapshot_commands, upkeep_commands, backup_commands, service_commands):
    app.add_typer(commands.app)
Alert = Annotated[
    bool, typer.Option("--alert", help="Then alert of all that is wrong: for cron, where no daemon looks after it.")
]
STDERR = 2
console = Console()
errors = Console(stderr=True)


def main() -> None:
    """Run a command: a UserError becomes one sentence and exit code 2, a full disk one sentence and exit code 1."""
    logging.basicConfig(level=logging.ERROR, format="%(message)s")
    # Its own choice prints each retry to standard output, where answers go.
    stamina.instrumentation.set_on_retry_hooks([LoggingOnRetryHook])
    try:
        app()
    except UserError as error:
        errors.print(f"[red]kshift:[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(2)
    except Exception as error:
        trouble = disk_trouble(error)
        if trouble is None:
            raise
        errors.print(
            f"[red]kshift:[/] the disk takes nothing more ({escape(trouble)}). What was stored stays: free space on it "
            "or make it writable, and run the same again; it goes on from there.",
            soft_wrap=True,
        )
        sys.exit(1)


@app.command()
def run(
    selection: Annotated[
        str, typer.Argument(help="Assets in Dagster's selection syntax, e.g. 'chess/games' or 'group:\"chess/*\"'.")
    ],
    partition: Annotated[str | None, typer.Option(help="One month, e.g. 2013-01.")] = None,
    first: Annotated[str | None, typer.Option("--from", help="First month of a range.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last month of a range.")] = None,
    alert: Alert = False,  # noqa: FBT002  # a flag of the command line
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
        with _alarmed(runner, settings, alert=alert):
            outcomes = _shown(lambda listen: runner.run_all(batches, listen))
    _finish(outcomes)


@app.command()
def ingest(
    alert: Alert = False,  # noqa: FBT002  # a flag of the command line
) -> None:
    """Fetch what is new for the tracked players, and carry it through to the published snapshot."""
    with _runner() as (runner, settings):
        from kshift_assets import ways

        with _alarmed(runner, settings, alert=alert):
            outcomes = _shown(lambda listen: ways.ingest(runner, settings.max_age, listen))
    _finish(outcomes)


@app.command()
def crawl(
    budget: Annotated[int, typer.Option(min=1, help="How many players to fetch at most.")],
    requests: Annotated[int, typer.Option(min=0, help="How many requests to make at most; 0 for no limit.")] = 0,
) -> None:
    """Fetch tracked players and their opponents who are due, nearest first, and carry it through to published.

    Opponents are followed as far as `kshift track --depth` said. See lichess.players_frontier for who is due when.
    """
    with _runner() as (runner, settings):
        from kshift_assets import ways

        _finish(_shown(lambda listen: ways.crawl(runner, settings.max_age, (budget, requests), listen)))


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
    from resources.snapshots import Snapshots
    from serving import status as states

    with _runner(makes=False) as (runner, settings):
        catalog = Snapshots(folder=str(settings.published)).latest()
        found = states.states(
            runner.graph, runner.instance, catalog, settings.published / "latest.duckdb", settings.lake_uri
        )
    if as_json:
        print(json.dumps({"snapshot": (catalog or {}).get("snapshot"), "tables": states.as_records(found)}, indent=1))  # noqa: T201  # the command's answer
    else:
        states.write_table(found, catalog, console)
    raise typer.Exit(1 if states.is_bad(found) else 0)


@app.command()
def runs(
    last: Annotated[int, typer.Option(min=1, max=10_000, help="How many to show.")] = 20,
    failed: Annotated[bool, typer.Option("--failed", help="Only those that failed; exit code 1 if there are.")] = False,  # noqa: FBT002  # a flag of the command line
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,  # noqa: FBT002  # a flag of the command line
) -> None:
    """The newest runs, also those after the last snapshot; all that ever ran are in the table ops.runs."""
    from serving import runs as shown_runs

    settings = load_settings()
    prepare(settings)
    from kshift_assets.ops.events import newest_runs

    with open_instance(settings.dagster_home) as instance:
        present = newest_runs(instance, last, failed=failed)
    past = []
    if len(present) < last:
        database = settings.published / "latest.duckdb"
        past = shown_runs.published_runs(database, settings.lake_uri, last=last, failed=failed)
    found = shown_runs.newest(present, past, last)
    if as_json:
        print(shown_runs.as_json(found))  # noqa: T201  # the command's answer
    else:
        shown_runs.write_table(found, len(found) - len(present), console)
    raise typer.Exit(1 if failed and found else 0)


@app.command()
def alerts(
    test: Annotated[bool, typer.Option("--test", help="Send an alert to every receiver.")] = False,  # noqa: FBT002  # a flag of the command line
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,  # noqa: FBT002  # a flag of the command line
) -> None:
    """What is wrong, as far as it was told, and what waits to be delivered; exit code 1 if there is any."""
    from resources.alert_settings import alerts_of
    from serving.incidents import show, try_out

    told = alerts_of(load_settings())
    if test:
        try_out(told)
    else:
        told.flush()
    raise typer.Exit(1 if show(told, console, as_json=as_json) else 0)


@app.command()
def doctor(
    offline: Annotated[bool, typer.Option("--offline", help="Ask no server.")] = False,  # noqa: FBT002  # a flag of the command line
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,  # noqa: FBT002  # a flag of the command line
) -> None:
    """Is this installation fit to run? A remedy for each finding; exit code 1 if there is one."""
    from serving.doctor import examine, show

    found = list(examine(load_settings(), offline=offline))
    raise typer.Exit(1 if show(found, console, as_json=as_json) else 0)


@app.command()
def demo() -> None:
    """The whole way on the embedded sample: replayed by a local server, through the ordinary ingestion."""
    from serving.demo import SAMPLE, sample_months, sample_players, tell_answers
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
            executor="in_process",  # nobody else knows of the server that replays
        )
        with _runner(settings) as (runner, _):
            from kshift_assets import ways

            console.print(f"Replaying the sample on {server.url} into {settings.home}")
            outcomes = _shown(lambda listen: ways.demo(runner, settings.max_age, sample_months(), listen))
    if all(outcome.succeeded for outcome in outcomes):
        tell_answers(settings, console)
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


@contextmanager
def _runner(settings: Settings | None = None, *, makes: bool = True) -> "Iterator[tuple[Runner, Settings]]":
    settings = settings or load_settings()
    from kshift_assets.definitions import build
    from kshift_assets.executors import refuse_without_redis
    from kshift_assets.migrations import open_lake
    from kshift_assets.runs import Runner

    open_lake(settings)
    prepare(settings)
    if makes:
        refuse_without_redis(settings)
    with open_instance(settings.dagster_home) as instance:
        yield Runner(build(settings), instance, settings.runs_elsewhere), settings


def _shown(work: "Callable[[Listener], list[Outcome]]") -> "list[Outcome]":
    """Do the work and show it; Ctrl-C ends it with a sentence."""
    from kshift_assets.runs import Interrupted

    try:
        return shown(work, console)
    except (Interrupted, KeyboardInterrupt):
        errors.print("[red]Interrupted.[/] What was stored stays: the same command goes on from there.", soft_wrap=True)
        # An interpreter that ends in the middle of work leaves objects behind, which DuckDB lists: no news for anyone.
        atexit.register(os.dup2, os.open(os.devnull, os.O_WRONLY), STDERR)
        raise typer.Exit(1) from None


@contextmanager
def _alarmed(runner: "Runner", settings: Settings, *, alert: bool) -> Iterator[None]:
    """After the work, if asked for: alerts for its failures and for all else that is wrong."""
    since = datetime.now(UTC)
    yield
    if alert:
        from kshift_assets.definitions import watch_of
        from resources.alert_settings import alerts_of

        watch_of(settings, runner.assets).over_all(alerts_of(settings), runner.instance, since)


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
    from kshift_assets.migrations import open_lake

    lake = open_lake(settings)
    tracking.say(lake, names, tracked=tracked, depth=depth)
    followed = tracking.tracked(lake, settings.players)
    console.print(f"{len(followed)} followed: {', '.join(followed) or 'nobody'}", soft_wrap=True)
    if tracked:
        console.print("Fetch their games with: kshift ingest")


if __name__ == "__main__":
    main()
