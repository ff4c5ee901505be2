"""The commands that run until Ctrl-C: the web UI with its daemon, numbers for Prometheus, a worker of Celery."""

import os
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from resources.errors import UserError
from resources.settings import Settings, load_settings
from serving.home import ROOT, prepare

if TYPE_CHECKING:  # it takes a second to import
    from serving.metrics import Part

app = typer.Typer()
console = Console()
errors = Console(stderr=True)


@app.command()
def up(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the web UI on 127.0.0.1.")] = 3000,
) -> None:
    """Dagster's web UI and daemon, until Ctrl-C."""
    from kshift_assets.definitions import find_plugins
    from kshift_assets.migrations import open_lake
    from serving.webserver import Services, refuse_taken

    settings = load_settings()
    refuse_taken(port)
    find_plugins()  # a broken one is told here in a sentence, not in the UI in thirty lines
    open_lake(settings)
    prepare(settings)
    environment = os.environ | {"KSHIFT_HOME": str(settings.home), "DAGSTER_HOME": str(settings.dagster_home)}
    if code := Services(ROOT / "workspace.yaml", port, environment).run(console):
        errors.print("[red]Dagster ended by itself.[/] Its last words stand above", soft_wrap=True)
    raise typer.Exit(code)


@app.command()
def metrics(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to answer on.")] = 9464,
    host: Annotated[str, typer.Option(help="Address to answer on; 0.0.0.0 lets other machines ask.")] = "127.0.0.1",
) -> None:
    """Numbers for Prometheus at /metrics, until Ctrl-C: requests, games, tables, runs, freshness, checks."""
    from serving.metrics import Exporter, serve

    settings = load_settings()
    prepare(settings)
    parts = metric_parts(settings)
    serve(
        Exporter(parts, lambda text: errors.print(f"[yellow]metrics:[/] {escape(text)}", soft_wrap=True)),
        host,
        port,
        console,
    )


@app.command()
def worker(
    away: Annotated[  # noqa: FBT002  # a flag of the command line
        bool, typer.Option("--away", help="This machine has a KSHIFT_HOME of its own: no fetching, no publishing here.")
    ] = False,
    at_once: Annotated[int, typer.Option(min=1, help="How many assets to make at the same time.")] = 1,
) -> None:
    """Make assets for others, until Ctrl-C: a worker of Celery, for KSHIFT_EXECUTOR=celery."""
    from kshift_assets.executors import refuse_without_redis, worker_app, worker_command

    settings = load_settings()
    if settings.executor != "celery":
        raise UserError("workers are there for KSHIFT_EXECUTOR=celery: set it here as it is set where runs begin")
    celery = worker_app(settings)
    refuse_without_redis(settings)
    prepare(settings)
    console.print(f"Waiting for work in {'the queue' if away else 'all queues'}  (Ctrl-C ends it)")
    celery.worker_main(list(worker_command(at_home=not away, at_once=at_once)))


def metric_parts(settings: Settings) -> "list[Part]":
    """The parts of the exporter, for the graph and the lake of these settings."""
    from dagster import AssetsDefinition

    from kshift_assets import check_states
    from kshift_assets.chess.tracking import tracked
    from kshift_assets.definitions import build, watch_of
    from kshift_assets.liveness import is_killed
    from kshift_assets.ops.events import rows_of
    from kshift_assets.ops.history import changed
    from resources.alert_settings import alerts_of
    from resources.lake import Lake
    from serving.metric_parts import Graph, parts_of
    from serving.metrics_dagster import Questions

    definitions, lake = build(settings), Lake(uri=settings.lake_uri)
    graph = definitions.resolve_asset_graph()
    watch = watch_of(settings, [asset for asset in definitions.assets or () if isinstance(asset, AssetsDefinition)])
    known = Graph(sorted(graph.materializable_asset_keys), watch.promised, watch.checks, watch.folders)
    questions = Questions(changed, rows_of, is_killed, check_states.failed, lambda: tracked(lake, settings.players))
    return parts_of(settings, lake, known, questions, alerts_of(settings))
