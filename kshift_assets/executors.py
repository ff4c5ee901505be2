"""Where assets are made: in one process, in a process each, or by Celery's workers on several machines."""

import multiprocessing
import os
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg
import loky

from kshift_assets.reporting import HOME_QUEUE
from resources.errors import UserError
from resources.settings import Settings

if TYPE_CHECKING:
    from celery import Celery

LOCAL_REDIS = "redis://127.0.0.1:6379/0"
ANSWER_SECONDS = 5.0
# Dagster's name for the queue of everything that names none.
QUEUE = "dagster"


def executor_of(settings: Settings) -> dg.ExecutorDefinition:
    """Dagster's executor for these settings; UserError if its package is not installed."""
    match settings.executor:
        case "in_process":
            return dg.in_process_executor
        case "multiprocess":
            return dg.multiprocess_executor.configured({"max_concurrent": settings.workers or loky.cpu_count()})
        case "celery":
            _check_installed()
            from dagster_celery import celery_executor  # noqa: PLC0415  # not installed where nobody asks for it

            executor: dg.ExecutorDefinition = celery_executor.configured(_celery_config(settings))
            return executor


def worker_app(settings: Settings) -> "Celery":
    """The Celery application of a worker: it makes assets, one step of a run after the other."""
    _check_installed()
    from celery.signals import worker_process_init  # noqa: PLC0415  # not installed where nobody asks for it
    from dagster_celery.make_app import make_app  # noqa: PLC0415  # the same
    from dagster_celery.tasks import create_task  # noqa: PLC0415  # the same

    worker_process_init.connect(_allow_children)
    app: Celery = make_app(_celery_config(settings))
    # A worker says that it has done its work when it has, so that the work of a dead one is not lost.
    create_task(app, acks_late=True, reject_on_worker_lost=True)
    return app


def refuse_without_redis(settings: Settings) -> None:
    """Raise UserError if work is to go through a Redis that does not answer: Celery would try for minutes."""
    if settings.executor != "celery":
        return
    from redis import Redis, RedisError  # noqa: PLC0415  # not installed where nobody asks for it

    try:
        with Redis.from_url(_redis_of(settings), socket_connect_timeout=ANSWER_SECONDS) as redis:
            redis.ping()
    except RedisError as error:
        raise UserError(
            f"the Redis of KSHIFT_CELERY_BROKER does not answer ({error}): start it, or say where it is"
        ) from error


def worker_command(*, at_home: bool, at_once: int) -> Sequence[str]:
    """What Celery is told when a worker starts: which queues it serves, and with how many processes."""
    queues = [QUEUE, HOME_QUEUE] if at_home else [QUEUE]
    # Several on one machine need several names.
    named = f"--hostname=kshift-{os.getpid()}@%h"
    return ["worker", "--queues", ",".join(queues), "--concurrency", str(at_once), named, "--loglevel=WARNING"]


def _celery_config(settings: Settings) -> dict[str, Any]:
    redis = _redis_of(settings)
    # Work that nobody has acknowledged goes to another worker after this time; somebody looks every ten seconds.
    patience = {"visibility_timeout": settings.celery_redo_seconds, "unacked_restore_throttle": 1}
    return {
        "broker": redis,
        "backend": redis,
        "config_source": {
            "broker_transport_options": patience,
            "result_backend_transport_options": patience,
            "broker_connection_retry_on_startup": True,
            "worker_prefetch_multiplier": 1,
            "task_default_queue": QUEUE,
        },
    }


def _redis_of(settings: Settings) -> str:
    return settings.celery_broker.get_secret_value() if settings.celery_broker else LOCAL_REDIS


def _allow_children(**_: object) -> None:
    """Let a process of Celery's pool start processes: analytics and engines do. Python forbids it to a daemon."""
    multiprocessing.current_process()._config["daemon"] = False  # type: ignore[attr-defined]  # noqa: SLF001  # no other way


def _check_installed() -> None:
    # dagster-celery registers its task anew with each step; Celery 5.7 says so each time.
    warnings.filterwarnings("ignore", message="Task name 'execute_plan' is already registered")
    try:
        import dagster_celery  # noqa: F401, PLC0415  # not installed where nobody asks for it
    except ModuleNotFoundError as error:
        raise UserError(
            "KSHIFT_EXECUTOR=celery needs packages that are not installed: pip install 'knightshift[cluster]'"
        ) from error
