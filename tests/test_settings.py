"""Settings: every value is checked where it is read, and what is wrong is said in one sentence."""

import os
import re
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resources.errors import UserError
from resources.settings import MISREAD, Settings, load_settings

EXAMPLE = Path(__file__).parents[1] / ".env.example"
SECRET = "lip_abcDEF123456"  # noqa: S105  # made up  # pragma: allowlist secret


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.upper().startswith(("KSHIFT_", "DAGSTER_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], str]:
    """The sentence with which a value of a variable is refused."""

    def load(name: str, value: str) -> str:
        monkeypatch.setenv(name, value)
        with pytest.raises(UserError) as caught:
            load_settings()
        return str(caught.value)

    return load


def test_without_any_setting_all_state_lies_in_one_folder_here(tmp_path: Path):
    settings = load_settings()

    assert settings.home == tmp_path / "data"
    assert settings.lake_uri == str(tmp_path / "data" / "lake")
    assert settings.dagster_home == tmp_path / "data" / "dagster"
    assert {settings.published, settings.state, settings.downloads} == {
        tmp_path / "data" / name for name in ("published", "state", "downloads")
    }
    assert (settings.lichess_url, settings.lichess_dump_url) == ("https://lichess.org", "https://database.lichess.org")
    assert (settings.players, settings.lichess_token, settings.dump_dir, settings.contact) == ((), None, None, "")
    assert (settings.quiet_seconds, settings.lookback_days) == (60, 14)


def test_another_home_is_another_lakehouse(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("KSHIFT_HOME", "elsewhere")
    settings = load_settings()

    assert settings.lake_uri == str(tmp_path / "elsewhere" / "lake")
    assert settings.dagster_home == tmp_path / "elsewhere" / "dagster"


def test_a_home_may_begin_with_a_tilde(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KSHIFT_HOME", "~/chess")

    assert load_settings().home == tmp_path / "chess"


def test_dagsters_own_variable_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster_elsewhere"))

    assert load_settings().dagster_home == tmp_path / "dagster_elsewhere"


def test_the_environment_wins_over_the_file_and_an_argument_over_both(monkeypatch: pytest.MonkeyPatch):
    Path(".env").write_text("KSHIFT_LOOKBACK_DAYS=3\nKSHIFT_PAGE_GAMES=50\nOTHER_PROGRAM=1\n")
    monkeypatch.setenv("KSHIFT_LOOKBACK_DAYS", "4")

    assert (load_settings().lookback_days, load_settings().page_games) == (4, 50)
    assert load_settings(lookback_days=5).lookback_days == 5


def test_an_empty_value_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    Path(".env").write_text("KSHIFT_LICHESS_TOKEN=\nKSHIFT_DUMP_DIR=\n")
    monkeypatch.setenv("KSHIFT_HOME", "")

    assert load_settings() == load_settings(home=tmp_path / "data")
    assert load_settings().lichess_token is None


def test_players_are_a_list_of_ids_each_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KSHIFT_PLAYERS", " Amber, basil-2 ,,AMBER,c_3")

    assert load_settings().players == ("amber", "basil-2", "c_3")


def test_a_lake_may_lie_in_an_object_store(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KSHIFT_LAKE_URI", "s3://bucket/some/prefix")

    assert load_settings().lake_uri == "s3://bucket/some/prefix"


def test_nobody_changes_a_setting_afterwards():
    with pytest.raises(ValueError, match="frozen"):
        load_settings().page_games = 1


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("KSHIFT_LAKE_URI", "gs://bucket/x", "must be a folder or an address such as s3://bucket/prefix"),
        ("KSHIFT_LAKE_URI", "s3://", "names no bucket"),
        ("KSHIFT_LAKE_URI", "s3:///prefix", "names no bucket"),
        ("KSHIFT_LICHESS_URL", "lichess.org", "must be an address such as https://lichess.org"),
        ("KSHIFT_LICHESS_URL", "ftp://lichess.org", "must be an address"),
        # pragma: allowlist nextline secret
        ("KSHIFT_LICHESS_URL", "https://user:word@lichess.org", "without user, password or query"),
        ("KSHIFT_LICHESS_URL", "https://lichess.org?x=1", "without user, password or query"),
        ("KSHIFT_LICHESS_URL", "https://lichess.org:port", "must be an address"),
        ("KSHIFT_LICHESS_URL", "https://[::1", "must be an address"),
        ("KSHIFT_LICHESS_URL", "https://lichess.org\n", "must be an address"),
        ("KSHIFT_LICHESS_DUMP_URL", "database.lichess.org", "must be an address"),
        ("KSHIFT_LICHESS_TOKEN", "lip_a b", "must be a token"),
        ("KSHIFT_LICHESS_TOKEN", "lip_ä", "must be a token"),
        ("KSHIFT_PLAYERS", "amber,../../etc/passwd", "'../../etc/passwd' is not a Lichess user name"),
        ("KSHIFT_PLAYERS", "Ünal", "is not a Lichess user name"),
        ("KSHIFT_CONTACT", "Jörg", "must be an e-mail address or a URL, in ASCII"),
        ("KSHIFT_CONTACT", "a@b.example\nX-Header: 1", "must be an e-mail address or a URL, in ASCII"),
        ("KSHIFT_QUIET_SECONDS", "59", "greater than or equal to 60"),
        ("KSHIFT_QUIET_SECONDS", "nan", "less than or equal to 3600"),
        ("KSHIFT_QUIET_SECONDS", "a minute", "valid number"),
        ("KSHIFT_LOOKBACK_DAYS", "-1", "greater than or equal to 0"),
        ("KSHIFT_LOOKBACK_DAYS", "1.5", "valid integer"),
        ("KSHIFT_PAGE_GAMES", "0", "greater than or equal to 1"),
        ("KSHIFT_PAGE_GAMES", "9999999", "less than or equal to 10000"),
        ("KSHIFT_ENGINE_NODES", "99", "greater than or equal to 100"),
        ("KSHIFT_ENGINE_NODES", "many", "valid integer"),
        ("KSHIFT_ENGINE_GAMES", "-1", "greater than or equal to 0"),
        ("KSHIFT_DATA_AGE_DAYS", "9999999999999", "less than or equal to 36600"),
        ("KSHIFT_FRESH_HOURS", "0", "greater than or equal to 1"),
    ],
)
def test_a_wrong_value_is_refused_in_one_sentence_that_names_the_variable(
    refused: Callable[[str, str], str], name: str, value: str, reason: str
):
    sentence = refused(name, value)

    assert sentence.startswith(f"{name}: ")
    assert reason in sentence
    assert "\n" not in sentence
    assert "pydantic" not in sentence


@pytest.mark.parametrize("name", ["KSHIFT_HOME", "KSHIFT_DUMP_DIR"])
def test_a_file_is_not_a_folder(refused: Callable[[str, str], str], name: str):
    Path("a_file").touch()

    assert re.match(rf"{name}: .*a_file is a file, it must be a folder", refused(name, "a_file"))


@pytest.mark.parametrize("character", sorted(MISREAD))
@pytest.mark.parametrize("name", ["KSHIFT_HOME", "KSHIFT_LAKE_URI"])
def test_a_lake_in_a_folder_that_readers_misread_is_refused(
    refused: Callable[[str, str], str], name: str, character: str
):
    sentence = refused(name, f"a{character}b")

    assert sentence.startswith(f"{name}: ")
    assert f" holds {character}, which table readers misread: choose another folder" in sentence


def test_a_line_end_in_the_lakes_folder_is_refused_and_not_printed(refused: Callable[[str, str], str]):
    assert "\n" not in refused("KSHIFT_LAKE_URI", "a\nb")


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("KSHIFT_PLAYER", "did you mean KSHIFT_PLAYERS?"),
        ("KSHIFT_LICHES_TOKEN", "did you mean KSHIFT_LICHESS_TOKEN?"),
        ("kshift_pagegames", "did you mean KSHIFT_PAGE_GAMES?"),
        ("KSHIFT_XYZZY", "see .env.example for all of them"),
    ],
)
@pytest.mark.parametrize("where", ["environment", "file"])
def test_a_name_that_is_no_setting_is_refused_with_the_nearest_that_is_one(
    monkeypatch: pytest.MonkeyPatch, name: str, remedy: str, where: str
):
    if where == "file":
        Path(".env").write_text(f"{name}=1\n")
    else:
        monkeypatch.setenv(name, "1")

    with pytest.raises(UserError, match="is not a setting of KnightShift") as caught:
        load_settings()

    assert str(caught.value).startswith(name.upper())
    assert str(caught.value).endswith(remedy)
    assert (" in .env " in str(caught.value)) == (where == "file")


def test_a_file_that_is_not_text_is_refused():
    Path(".env").write_bytes(b"KSHIFT_CONTACT=J\xf6rg\n")

    with pytest.raises(UserError, match=r"\.env is not text in UTF-8"):
        load_settings()


def test_a_token_is_never_shown(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KSHIFT_LICHESS_TOKEN", SECRET)
    settings = load_settings()
    shown: list[Any] = [settings, settings.model_dump(), settings.model_dump_json(), settings.lichess_token]

    assert settings.lichess_token
    assert settings.lichess_token.get_secret_value() == SECRET
    assert not [one for one in shown if SECRET in str(one) or SECRET in repr(one)]


@pytest.mark.parametrize(
    "name", ["LICHESS_TOKEN", "PAGE_GAMES", "QUIET_SECONDS", "LICHESS_URL", "CONTACT", "FRESH_HOURS"]
)
def test_nor_is_it_in_an_error_not_even_where_it_stands_in_the_wrong_variable(
    monkeypatch: pytest.MonkeyPatch, name: str
):
    monkeypatch.setenv(f"KSHIFT_{name}", f"{SECRET} ü")

    with pytest.raises(UserError) as caught:
        load_settings()

    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert SECRET not in repr(caught.value)


def test_the_example_file_has_every_setting_with_its_meaning_and_default():
    blocks = EXAMPLE.read_text().strip().split("\n\n")[1:]
    documented = [re.fullmatch(r"# (?P<text>.+)\n# (?P<name>\w+)=(?P<default>.*)", block) for block in blocks]
    settings = Settings.model_fields

    assert [one and one["name"] for one in documented] == [f"KSHIFT_{name.upper()}" for name in settings]
    assert [one and one["text"] for one in documented] == [field.description for field in settings.values()]
    assert [one and one["default"] for one in documented] == [
        str(field.default) if field.default not in (None, ()) else "" for field in settings.values()
    ]


def test_the_example_file_with_every_line_uncommented_is_the_default():
    lines = [line.removeprefix("# ") for line in EXAMPLE.read_text().splitlines() if line.startswith("# KSHIFT_")]
    defaults = load_settings()
    Path(".env").write_text("\n".join(lines))

    assert len(lines) == len(Settings.model_fields)
    assert load_settings() == defaults
