"""Discovery of plugins: what is found, what is skipped, and the sentence with which a broken file stops."""

import re
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from kshift_assets.chess.seen_games import COLUMNS
from plugins import PluginError, discover
from tests.chess_games import frame

ROOT = Path(__file__).parents[1]
SOUND = '''"""Half of the plies."""

import pandera.polars as pa
import polars as pl

from plugins import ColumnPlugin


class Halves(pa.DataFrameModel):
    """One row a game."""

    id_game: str = pa.Field(description="Game id")
    n_halves: float = pa.Field(nullable=True, description="Half of the plies")


def compute(games: pl.LazyFrame) -> pl.LazyFrame:
    return games.select("id_game", n_halves=pl.col("n_plies") / 2)


plugin = ColumnPlugin(
    name="halves",
    version="1",
    description="Half of the plies.",
    schema=Halves,
    reads=("id_game", "n_plies"),
    compute=compute,
)
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of plugins as a stranger may have one; files in it are named `stranger/analytics/<file>`."""
    made = tmp_path / "stranger" / "analytics"
    made.mkdir(parents=True)
    return made


def refusal(folder: Path, **options: object) -> str:
    """The one sentence with which discovery stops."""
    with pytest.raises(PluginError) as refused:
        discover(COLUMNS, folder=folder, **options)  # type: ignore[arg-type]  # options differ in type
    text = str(refused.value)
    assert "\n" not in text
    assert not text.endswith(".")
    return text


def test_the_analytics_of_the_project_are_found_by_name() -> None:
    names = [plugin.name for plugin in discover(COLUMNS)]
    assert {"largest_swing", "move_count", "opening", "time_usage"} <= set(names)
    assert names == sorted(names)


def test_a_file_put_into_the_folder_is_found_without_another_edit(folder: Path) -> None:
    (folder / "halves.py").write_text(SOUND, encoding="utf-8")
    (plugin,) = discover(COLUMNS, folder=folder)
    results = plugin.run(frame({"n_plies": 3}, {"n_plies": 0}))
    assert results.select("id_game", "n_halves").rows() == [("game0000", 1.5), ("game0001", 0.0)]
    assert plugin.source_file == (folder / "halves.py").resolve()
    assert SOUND.splitlines()[plugin.source_line - 1].startswith("def compute")


def test_plugins_come_sorted_by_name_whatever_their_files_are_called(folder: Path) -> None:
    for file, name in (("a.py", "zeta"), ("b.py", "alpha"), ("c.py", "mean")):
        (folder / file).write_text(SOUND.replace('"halves"', f'"{name}"'), encoding="utf-8")
    assert [plugin.name for plugin in discover(COLUMNS, folder=folder)] == ["alpha", "mean", "zeta"]


def test_files_that_begin_with_an_underscore_are_skipped(folder: Path) -> None:
    for name in ("__init__.py", "_shared.py"):
        (folder / name).write_text("raise SystemExit('this file must not be run')", encoding="utf-8")
    (folder / "notes.txt").write_text("no plugin either", encoding="utf-8")
    assert discover(COLUMNS, folder=folder) == []


def test_an_edited_file_is_read_anew(folder: Path) -> None:
    file = folder / "halves.py"
    file.write_text(SOUND, encoding="utf-8")
    assert [plugin.version for plugin in discover(COLUMNS, folder=folder)] == ["1"]
    file.write_text(SOUND.replace('version="1"', 'version="second"'), encoding="utf-8")
    assert [plugin.version for plugin in discover(COLUMNS, folder=folder)] == ["second"]


@pytest.mark.parametrize(
    ("old", "new", "remedy"),
    [
        ("import polars as pl", "import polarbears as pl", "it cannot be imported at line 4 (ModuleNotFoundError"),
        ("def compute(", "def compute[(", "it cannot be imported (SyntaxError"),
        (
            "plugin = ColumnPlugin(",
            "raise SystemExit(3)\nplugin = ColumnPlugin(",
            "it cannot be imported at line 20 (SystemExit",
        ),
        (
            "plugin = ColumnPlugin(",
            "1 / 0\nplugin = ColumnPlugin(",
            "(ZeroDivisionError: division by zero); mend it, or move it",
        ),
        (
            "plugin = ColumnPlugin(",
            "analytic = ColumnPlugin(",
            "it defines no `plugin`; add `plugin = ColumnPlugin(…)`",
        ),
        ("plugin = ColumnPlugin(", "plugin = dict(", "its `plugin` is a dict; make it a ColumnPlugin or a GamePlugin"),
        ('    name="halves",\n', "", "missing 1 required keyword-only argument: 'name'"),
        ('name="halves"', 'name=""', "plugin '': its name is not in snake_case; write"),
        ('name="halves"', 'name="Halves"', "plugin 'Halves': its name is not in snake_case; write"),
        ('name="halves"', 'name="select"', "plugin 'select': its name is a word of SQL; choose another"),
        ('version="1"', "version=1", "plugin 'halves': its version 1 is not a text with something in it; write one"),
        ('version="1"', 'version=""', "plugin 'halves': its version '' is not a text with something in it; write one"),
        ("n_halves", "halves", "plugin 'halves': its column 'halves' breaks the convention of names; begin it with"),
        ("n_halves", "ind_halves", "plugin 'halves': its column 'ind_halves' has the type Float64; give it a boolean"),
        (
            'nullable=True, description="Half of the plies"',
            "",
            "its column 'n_halves' has no description; write pa.",
        ),
        ("schema=Halves", "schema=None", "its schema None is no model of pandera.polars; derive a class from"),
        ("schema=Halves", "schema=pa.DataFrameModel", "does not begin with id_game; let the first column be"),
        ('"n_plies")', '"n_ply")', "it reads the column 'n_ply', which the games do not have; choose from"),
        ("compute=compute", "compute=compute(pl.DataFrame())", "it cannot be imported at line"),
        ("compute=compute", "compute='compute'", "its compute 'compute' is not a function; write `def compute("),
    ],
)
def test_a_broken_file_stops_with_a_sentence_that_names_it(folder: Path, old: str, new: str, remedy: str) -> None:
    assert old in SOUND
    (folder / "broken.py").write_text(SOUND.replace(old, new), encoding="utf-8")
    (folder / "sound.py").write_text(SOUND.replace('"halves"', '"sound"'), encoding="utf-8")
    sentence = refusal(folder)
    assert sentence.startswith("stranger/analytics/broken.py: ")
    assert remedy in sentence


def test_two_files_with_one_name_stop_with_a_sentence_that_names_both(folder: Path) -> None:
    for file in ("one.py", "two.py"):
        (folder / file).write_text(SOUND, encoding="utf-8")
    assert refusal(folder) == (
        "stranger/analytics/two.py: the name 'halves' belongs to stranger/analytics/one.py already; "
        "give this plugin another"
    )


def test_a_name_that_another_table_bears_is_refused(folder: Path) -> None:
    (folder / "halves.py").write_text(SOUND, encoding="utf-8")
    assert "the name 'halves' belongs to another table already" in refusal(folder, taken={"games", "halves"})


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nowhere").startswith(f"{tmp_path / 'nowhere'}: there is no such folder of plugins; ")


def install(site: Path, monkeypatch: pytest.MonkeyPatch, entry: str, source: str = SOUND) -> None:
    """A package `halving` as pip would lay it out, with one entry point."""
    (site / "halving.py").write_text(source, encoding="utf-8")
    info = site / "halving-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: halving\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[kshift.plugins]\n{entry}\n", encoding="utf-8")
    monkeypatch.syspath_prepend(site)
    monkeypatch.delitem(sys.modules, "halving", raising=False)


def test_a_plugin_of_an_installed_package_is_found(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, "halves = halving:plugin")
    (plugin,) = discover(COLUMNS, folder=folder)
    assert plugin.name == "halves"
    assert plugin.source_file == (tmp_path / "halving.py").resolve()
    assert discover(COLUMNS, folder=folder, entry_point_group="somebody.else") == []


@pytest.mark.parametrize(
    ("entry", "source", "problem"),
    [
        ("halves = halving:nothing", SOUND, "it cannot be loaded (AttributeError: module 'halving' has no attribute"),
        ("halves = halving:compute", SOUND, "its `plugin` is a function; make it a ColumnPlugin or a GamePlugin"),
        ("halves = halving:plugin", SOUND.replace('version="1"', "version=1"), "plugin 'halves': its version 1 is"),
        ("halves = halving:plugin", "import nowhere_at_all", "it cannot be loaded (ModuleNotFoundError"),
    ],
)
def test_a_broken_entry_point_stops_with_a_sentence_that_names_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: str, source: str, problem: str
) -> None:
    install(tmp_path, monkeypatch, entry, source)
    sentence = refusal(folder)
    assert sentence.startswith(f"entry point {entry} of halving: ")
    assert problem in sentence


def test_the_plugin_in_the_readme_works_as_it_stands(folder: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = re.search(r"^### A new analytic\n(.*?)(?=^##|\Z)", readme, re.MULTILINE | re.DOTALL)
    assert section, "README.md has no section `### A new analytic`"
    block = re.search(r"^```python\n(.*?)^```$", section[1], re.MULTILINE | re.DOTALL)
    assert block, "the section `### A new analytic` of README.md has no block of python"
    assert len(block[1].splitlines()) < 25
    (folder / "duration.py").write_text(block[1], encoding="utf-8")
    (plugin,) = discover(COLUMNS, folder=folder)
    assert plugin.name == "duration"
    games = frame({}, {}).with_columns(
        tm_created=pl.datetime(2026, 1, 1, 12, 0, 0, time_zone="UTC", time_unit="us"),
        tm_last_move=pl.Series(["2026-01-01T12:01:30Z", None]).str.to_datetime(time_unit="us", time_zone="UTC"),
    )
    results = plugin.run(games)
    plugin.schema.validate(results, lazy=True)
    assert results.select("id_game", "n_duration_s").rows() == [("game0000", 90), ("game0001", None)]


def test_plugins_know_nothing_of_dagster_nor_of_the_graph() -> None:
    script = (
        "import sys; from plugins import discover; from pathlib import Path\n"
        "for file in Path('plugins/chess').glob('[!_]*.py'): __import__(f'plugins.chess.{file.stem}')\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules}"
        " & {'dagster', 'kshift_assets', 'resources', 'sensors', 'serving', 'deltalake', 'httpx'}))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
