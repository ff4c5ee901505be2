"""`kshift` as people meet it: a real process, its exit code, and sentences that say what to do."""

import csv
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from commands import Kshift
from lakehouse import Lakehouse, pgn
from plugins.chess.move_count import plugin as move_count

ROOT = Path(__file__).parents[1]


@pytest.fixture
def kshift(tmp_path: Path) -> Kshift:
    """Run the console command with these arguments and settings, in a folder without a `.env`."""

    def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": os.environ["PATH"], "KSHIFT_HOME": str(tmp_path / "home"), "COLUMNS": "200"} | settings
        return subprocess.run(
            [Path(sys.executable).with_name("kshift"), *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return run


def sentence(found: subprocess.CompletedProcess[str]) -> str:
    """The one sentence of a refusal: exit code 2, nothing on standard output, no traceback."""
    assert found.returncode == 2, found.stderr
    assert found.stdout == ""
    assert "Traceback" not in found.stderr
    assert len(found.stderr.strip().splitlines()) == 1, found.stderr
    return found.stderr.strip()


@pytest.mark.parametrize(
    ("arguments", "settings", "words"),
    [
        (["run", "chess/gamez"], {}, "'chess/gamez' selects nothing that can be made: try chess/games, "),
        (["run", "((("], {}, "is not a selection of assets"),
        (["run", "chess/games", "--partition", "2024-13"], {}, "'2024-13' is not a month: write it as 2024-05"),
        (["run", "chess/games", "--partition", "2012-12"], {}, "2012-12 is not a month that Lichess has games of"),
        (["run", "chess/games", "--partition", "../../etc"], {}, "is not a month"),
        (["run", "chess/games", "--from", "2024-03", "--to", "2024-01"], {}, "2024-03 lies after --to 2024-01"),
        (["run", "chess/games", "--from", "2024-03"], {}, "--from and --to belong together"),
        (["run", "chess/games", "--partition", "2024-01", "--to", "2024-01"], {}, "not both"),
        (["run", "lichess/dump_games"], {}, "say which month"),
        (["track", "../../etc/passwd"], {}, "is not a Lichess user name"),
        (["track", "a'--"], {}, "is not a Lichess user name"),
        (["track", "Ünal"], {}, "is not a Lichess user name"),
        (["untrack", ""], {}, "is not a Lichess user name"),
        (["sql", "SELECT 1"], {}, "nothing is published"),
        (["sql", "SELECT 1", "--format", "xml"], {}, "'xml' is not a format"),
        (["status"], {"KSHIFT_QUIET_SECONDS": "abc"}, "KSHIFT_QUIET_SECONDS: "),
        (["status"], {"KSHIFT_QUIET_SECONDS": "5"}, "KSHIFT_QUIET_SECONDS: "),
        (["status"], {"KSHIFT_LICHESS_URL": "lichess"}, "KSHIFT_LICHESS_URL: "),
        (["status"], {"KSHIFT_PLAYER": "anna"}, "did you mean KSHIFT_PLAYERS"),
        (["status"], {"KSHIFT_PLAYERS": "anna,b@d"}, "KSHIFT_PLAYERS: "),
        (["status"], {"KSHIFT_HOME": "/proc/nowhere"}, "cannot be written"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(
    kshift_here: Kshift, arguments: list[str], settings: dict[str, str], words: str
) -> None:
    assert re.search(words, sentence(kshift_here(*arguments, **settings)))


def test_a_real_process_refuses_in_the_same_way(kshift: Kshift) -> None:
    assert "'2024-13' is not a month" in sentence(kshift("run", "chess/games", "--partition", "2024-13"))


def test_what_is_refused_leaves_nothing_behind(kshift_here: Kshift, tmp_path: Path) -> None:
    sentence(kshift_here("track", "a/b"))
    assert not (tmp_path / "home" / "lake").exists()


def test_an_interrupt_ends_the_whole_work(tmp_path: Path) -> None:
    command = [Path(sys.executable).with_name("kshift"), "demo"]
    settings = {"PATH": os.environ["PATH"], "KSHIFT_HOME": str(tmp_path / "home"), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, cwd=tmp_path, env=settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as demo:
        line = next(line for line in demo.stdout if "lichess/dump_games 2024-01" in line)
        demo.send_signal(signal.SIGINT)
        printed, said = demo.communicate(timeout=60)
    assert line.startswith("done")
    assert demo.returncode == 1
    assert said.splitlines() == ["Interrupted. What was stored stays: the same command goes on from there."]
    assert "failed" not in printed
    assert "chess/games" not in printed


def test_players_are_followed_and_forgotten(kshift_here: Kshift) -> None:
    assert "1 followed: anna-b" in kshift_here("track", "Anna-B").stdout
    assert "3 followed: anna-b, carl, dora" in kshift_here("track", "carl", "dora").stdout
    assert "2 followed: anna-b, dora" in kshift_here("untrack", "CARL").stdout


def test_a_dump_is_run_queried_and_reported(kshift: Kshift, kshift_here: Kshift, tmp_path: Path) -> None:
    dumps = tmp_path / "dumps"
    dumps.mkdir()
    games = [pgn(f"aaaaaaa{number}", white="<b>=SUM(1)</b>" if number == 1 else "Amber") for number in range(3)]
    (dumps / "lichess_db_standard_rated_2024-01.pgn").write_text("".join(games))
    settings = {"KSHIFT_DUMP_DIR": str(dumps), "KSHIFT_WORKERS": "1"}
    never = kshift_here("status", "--json", **settings)
    assert never.returncode == 1
    assert {table["state"] for table in json.loads(never.stdout)["tables"]} == {"never made", "empty"}

    run = kshift(
        "run",
        'key:"lichess/dump_games" or group:"chess/*" or group:published',
        "--partition",
        "2024-01",
        **settings,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "lichess/dump_games 2024-01: 3 rows" in run.stdout

    assert json.loads(kshift("sql", "SELECT count(*) AS games FROM chess.games", "--format", "json").stdout) == [
        {"games": 2}
    ]
    rows = list(
        csv.DictReader(
            kshift(
                "sql", "SELECT val_reasons, tm_ingested FROM chess.rejected_games", "--format", "csv"
            ).stdout.splitlines()
        )
    )
    assert len(rows) == 1
    assert "id_user_white" in rows[0]["val_reasons"]
    assert kshift_here("sql", "SELECT count(*) AS games FROM chess.games").stdout.split() == ["games", "───────", "2"]

    state = kshift_here("status", "--json", **settings)
    assert state.returncode == 0, state.stdout
    tables = {table["table"]: table for table in json.loads(state.stdout)["tables"]}
    assert tables["marts.player_summary"]["state"] == "warned"
    assert "days old" in " ".join(tables["marts.player_summary"]["problems"])
    assert tables["published.snapshot"]["state"] == "fresh"
    assert tables["chess.games"]["rows"] == 2
    assert f"snapshot {json.loads(state.stdout)['snapshot']}" in kshift_here("status", **settings).stdout
    history = json.loads(kshift_here("runs", "--json").stdout)
    assert {row["val_launcher"] for row in history} == {"kshift"}
    published = json.loads(kshift_here("sql", "SELECT id_run FROM ops.runs", "--format", "json").stdout)
    assert {row["id_run"] for row in published} <= {row["id_run"] for row in history}
    assert kshift_here("runs", "--failed").returncode == 0


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a lakehouse with a published database."""
    folder = tmp_path_factory.mktemp("published")
    with dg.DagsterInstance.ephemeral() as instance:
        lakehouse = Lakehouse(folder, instance, [move_count])
        lakehouse.write_dump("2024-01", pgn("aaaaaaa1"))
        lakehouse.make("lichess/dump_games", "2024-01")
        assert all(outcome.succeeded for outcome in lakehouse.carry_on())
    return folder / "home"


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM chess.games",
        "SELECT 1; SELECT 2",
        "CREATE TABLE x AS SELECT 1",
        "COPY (SELECT 1) TO 'out.csv'",
        "SET enable_external_access = true",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_csv('/etc/passwd')",
        "ATTACH 'other.duckdb'",
        "INSTALL httpfs",
        "SELECT count(* FROM chess.games",
        "SELECT nothing FROM chess.games",
        "",
    ],
)
def test_queries_only_read_what_is_published(kshift_here: Kshift, published: Path, tmp_path: Path, query: str) -> None:
    found = kshift_here("sql", query, KSHIFT_HOME=str(published))
    assert found.returncode == 2, found.stdout
    assert "Traceback" not in found.stderr
    assert not list(tmp_path.glob("out.csv"))


def test_a_failed_run_exits_with_1_names_the_cause_and_alerts_if_asked(kshift: Kshift, tmp_path: Path) -> None:
    (tmp_path / "dumps").mkdir()
    command = ("run", "lichess/dump_games", "--partition", "2024-01", "--alert")
    found = kshift(*command, KSHIFT_DUMP_DIR=str(tmp_path / "dumps"))
    assert found.returncode == 1
    assert "has no file of 2024-01" in found.stdout
    assert "Traceback" not in found.stdout + found.stderr
    told = [json.loads(line) for line in (tmp_path / "home" / "alerts.jsonl").read_text().splitlines()]
    assert [(one["severity"], one["subject"]) for one in told] == [("trouble", "lichess/dump_games 2024-01")]
    assert "has no file of 2024-01" in told[0]["text"]
    listed = kshift("runs", "--failed")
    assert listed.returncode == 1
    assert "lichess__dump_games: " in listed.stdout
    assert "has no file of 2024-01" in listed.stdout


def test_a_taken_port_is_refused_before_anything_starts(kshift: Kshift, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        assert f"port {port} cannot be used (Address already in use)" in sentence(kshift("up", "--port", port))
    assert not (tmp_path / "home").exists()


def test_the_module_is_the_command(tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-m", "serving.cli", "--help"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    for command in ("demo", "run", "runs", "sql", "status", "up", "track", "untrack", "ingest"):
        assert re.search(rf"│ {command} ", found.stdout)
