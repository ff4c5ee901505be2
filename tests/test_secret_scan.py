"""The search for secrets in what is committed finds them; `make lint` and the hook before each commit run it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HOOK = [Path(sys.executable).with_name("detect-secrets-hook"), "--no-verify"]
BASELINE, RULES = ROOT / ".secrets.baseline", Path(".ci/secret_rules.py")
LETTERS = "Ab3dEf7hIj1kLm5n"


def scan(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*HOOK, *arguments], cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A clone in another folder, of which only the rules are there."""
    shutil.copy(BASELINE, tmp_path)
    (tmp_path / RULES.parent).mkdir()
    shutil.copy(ROOT / RULES, tmp_path / RULES)
    return tmp_path


@pytest.mark.parametrize(
    "line",
    [
        f"token = 'lip_{LETTERS}'",
        f"asked with lio_{LETTERS}, which was refused",
        f"GET /query?function=TIME_SERIES&apikey={LETTERS}",
        f"KSHIFT_ALERT_WEBHOOK=https://hooks.slack.com/services/T00/B00/{LETTERS}",  # pragma: allowlist secret
        f"https://discord.com/api/webhooks/1234567890/{LETTERS}",  # pragma: allowlist secret
        f"https://chat.example.org/hooks/{LETTERS}",
        f"KSHIFT_DAGSTER_POSTGRES=postgresql://kshift:{LETTERS}@db/dagster",
        f"KSHIFT_ALERT_SMTP=smtp://kshift:{LETTERS}@mail.example.org:587",
        "-----BEGIN " + "RSA PRIVATE KEY-----",
        "aws_access_key_id = AKIA" + "IOSFODNN7" + "EXAMPLQ",
    ],
)
def test_a_planted_secret_stops_the_commit(elsewhere: Path, line: str) -> None:
    (elsewhere / "notes.md").write_text(f"What it said:\n{line}\n")
    found = scan(elsewhere, "--baseline", BASELINE.name, "notes.md")

    assert found.returncode == 1
    assert "notes.md:2" in found.stdout
    assert LETTERS not in found.stdout


def test_a_file_without_one_passes_and_nothing_is_written(elsewhere: Path) -> None:
    before = (elsewhere / BASELINE.name).read_bytes()
    (elsewhere / "notes.md").write_text("KSHIFT_LICHESS_TOKEN=\nlip_ and letters\nsmtp://user:password@host:587\n")

    assert scan(elsewhere, "--baseline", BASELINE.name, "notes.md").returncode == 0
    assert (elsewhere / BASELINE.name).read_bytes() == before


def test_the_baseline_names_no_machine_and_excuses_no_file() -> None:
    baseline = json.loads(BASELINE.read_text())

    assert baseline["results"] == {}
    assert [one["path"] for one in baseline["plugins_used"] if "path" in one] == [f"file://{RULES}"]
