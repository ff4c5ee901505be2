"""The benchmarks run: the pipeline and what it is compared with, on few games; results say where they are from."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "benchmarks"
GAMES = 60
ENVIRONMENT = os.environ | {"PYTHONPATH": f"{ROOT}:{FOLDER}"}

# Each piece of work as the benchmarks call it; the answer tells how many games came through.
WORKS = {
    "limits:write_with_polars": ["dump"],
    "limits:write_with_pyarrow": ["dump"],
    "peers:python_chess": ["dump", GAMES],
    "peers:duckdb_regexes": ["dump"],
    "json_peers:duckdb_columns": ["documents"],
    "json_peers:duckdb_inferred": ["documents"],
    "json_peers:polars_ndjson": ["documents"],
    "json_peers:python_json": ["documents"],
    "json_peers:python_orjson": ["documents"],
    "pipeline:dump_to_lake": ["folder"],
}
COUNT = """
import importlib, json, sys
from pathlib import Path
import tiled_documents, tiled_dumps
number, works = json.loads(sys.argv[2])
tiled_dumps.KEPT = tiled_documents.KEPT = Path(sys.argv[1])
folder = tiled_dumps.kept_dump(number)
files = {
    "folder": str(folder),
    "dump": str(next(folder.iterdir())),
    "documents": str(tiled_documents.kept_documents(number)),
}
for work, arguments in works.items():
    module, function = work.split(":")
    prepare = getattr(importlib.import_module(module), function)
    answer = prepare(*(files.get(argument, argument) for argument in arguments))()
    answer = answer() if callable(answer) else answer
    print(json.dumps([work, answer["rows"] if isinstance(answer, dict) else answer]))
"""


def ran(*arguments):
    done = subprocess.run(
        [sys.executable, *arguments], check=False, capture_output=True, text=True, env=ENVIRONMENT, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_way_brings_every_game_through(tmp_path):
    found = dict(json.loads(line) for line in ran("-c", COUNT, str(tmp_path), json.dumps([GAMES, WORKS])).splitlines())
    assert found == dict.fromkeys(WORKS, GAMES)


def test_every_script_can_be_loaded():
    ran("-c", f"import {', '.join(sorted(path.stem for path in FOLDER.glob('*.py')))}")


def test_results_say_where_they_are_from_and_what_was_reached(tmp_path):
    printed = ran(str(FOLDER / "lake.py"), "--quick", "--results", str(tmp_path))
    assert "overwrite a month" in printed
    kept = json.loads((tmp_path / "lake.json").read_text())
    assert kept["machine"]["cores"] >= 1
    assert kept["versions"]["polars"]
    for work in kept["works"].values():
        assert work["games"] > 0
        assert work["seconds"] > 0
        assert work["cpu_s"] > 0
        assert 20 < work["peak_mb"] < 4_000
