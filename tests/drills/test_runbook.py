"""The runbook of docs/operations.md: each alert is provoked through the command line, and its remedy followed."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from drills.drift import DRIFTS, _plan
from drills.house import House, house
from drills.web import running, until

from kshift_assets import definitions
from lakehouse import pgn
from resources.alerts import REMEDIES
from resources.clock import Span
from serving.replay_api import error
from serving.replay_wire import Fault

pytestmark = pytest.mark.timeout(900)  # each is several processes that carry everything through
PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
NOTHING = ("run", "chess/openings", "--alert")
"""Work that is well, and then tells all that is wrong."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("runbook")
    (folder / "dumps").mkdir()
    with house(folder, KSHIFT_DUMP_DIR=str(folder / "dumps"), KSHIFT_LOOKBACK_DAYS="3660") as made:
        yield made


def told(made: House, *arguments: str, code: int = 1, changes: tuple[Callable[[], None], ...] = (), **more: str) -> str:
    """Call a command that ends like that, and show what it printed: `-s` gives what the page copies."""
    process = made.start(*arguments, changes=changes, **more)
    assert process.wait() == code, process.told()
    print(f"$ kshift {' '.join(arguments)}\n{process.told()}")  # noqa: T201  # for the page
    return process.told()


def alerts(made: House) -> set[str]:
    """The kinds of incidents that are open."""
    process = made.start("alerts", "--json")
    code = process.wait()
    kinds = {one["kind"] for one in json.loads(process.told())["incidents"]}
    assert code == int(bool(kinds))
    told(made, "alerts", code=code)
    return kinds


def write_dump(made: House, *games: str) -> None:
    (made.folder / "dumps" / "lichess_db_standard_rated_2024-01.pgn").write_text("".join(games))


def test_run_the_file_that_it_lacked_is_put_there(made: House) -> None:
    command = ("run", "lichess/dump_games", "--partition", "2024-01", "--alert")
    told(made, *command)
    assert alerts(made) == {"run"}
    assert "has no file of 2024-01" in told(made, "runs", "--failed", "--last", "1")
    write_dump(made, *[pgn(f"good{number:04}") for number in range(30)])
    told(made, *command, code=0)
    assert alerts(made) == set()


def test_check_the_source_s_file_is_mended(made: House) -> None:
    write_dump(made, *[pgn(f"evil{number:04}", white="No Name") for number in range(30)])
    told(made, "run", "lichess/dump_games", "--partition", "2024-01", code=0)
    clean = ("run", "chess/games", "--partition", "2024-01", "--alert")
    told(made, *clean)
    assert alerts(made) == {"run", "check"}
    assert "30 of 30 games would be rejected" in told(made, "status")
    write_dump(made, *[pgn(f"good{number:04}") for number in range(30)])
    told(made, "run", "lichess/dump_games", "--partition", "2024-01", code=0)
    told(made, *clean, code=0)
    assert alerts(made) == set()
    told(made, "ingest", code=0)


def late() -> None:
    """As if the hours of the promise had passed."""
    watch_of = definitions.watch_of
    definitions.watch_of = lambda *given: replace(watch_of(*given), max_age=timedelta(0))


def test_stale_an_ingest_makes_everything_anew(made: House) -> None:
    told(made, *NOTHING, code=0, changes=(late,))
    assert alerts(made) == {"stale"}
    told(made, "ingest", "--alert", code=0)
    assert alerts(made) == set()


def test_contract_the_answer_lies_in_quarantine(made: House) -> None:
    made.play()
    [drift] = [one for one in DRIFTS if one.name == "a field is missing"]
    made.server.stage.plan = _plan(drift, made.ids)
    told(made, "ingest", "--alert")
    assert alerts(made) == {"run", "contract"}
    [kept, *_] = (made.home / "state").glob("quarantine/**/*.txt")
    print(kept.relative_to(made.home), kept.read_text()[:300])  # noqa: T201  # for the page
    assert "rated" in kept.read_text().splitlines()[0]
    made.server.stage.plan = None  # as after an update
    told(made, "ingest", "--alert", code=0)
    assert alerts(made) == set()


def later() -> None:
    """As if a quarter of an hour had passed: a wall clock alone that is set forward ends no pause."""
    left = Span.left
    Span.left = lambda self, clock: max(0.0, left(self, clock) - 900)  # type: ignore[method-assign]


def test_circuit_it_is_probed_by_itself(made: House) -> None:
    made.server.stage.plan = lambda *_: Fault(change=lambda _: error(500, "out of order"))
    told(made, "ingest", "--alert")
    assert alerts(made) == {"run"}, "a few failures are no reason yet"
    told(made, "ingest", "--alert")
    assert alerts(made) == {"run", "circuit"}
    made.server.stage.plan = None
    assert "is left alone until" in told(made, "ingest", "--alert")
    told(made, "ingest", "--alert", code=0, changes=(later,))
    assert alerts(made) == set()


def test_disk_there_is_room_again(made: House) -> None:
    told(made, *NOTHING, code=0, KSHIFT_DISK_FREE_GB="999999")
    assert alerts(made) == {"disk"}
    told(made, *NOTHING, code=0)
    assert alerts(made) == set()


def test_daemon_it_is_started_again(made: House) -> None:
    meant = {"KSHIFT_DAEMON_SILENT_MINUTES": "5"}
    told(made, *NOTHING, code=0, **meant)
    assert alerts(made) == {"daemon"}

    def is_well() -> bool:
        told(made, *NOTHING, code=0, **meant)
        return "daemon" not in alerts(made)

    with running(made.settings | meant, made.folder / "up.log"):
        until("signs of life of the daemon", 600, is_well)


def test_the_page_has_every_alert_and_this_file_tries_each() -> None:
    kinds = set(REMEDIES) - {"test"}
    assert set(re.findall(r"^### `(\w+)`", PAGE, re.MULTILINE)) == kinds
    assert {name.split("_")[1] for name in globals() if name.startswith("test_")} - {"the"} == kinds
