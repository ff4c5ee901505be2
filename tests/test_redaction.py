"""Taking secrets out: those that look like one, and those of the settings, whatever they look like."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from resources.quarantine import Quarantine
from resources.redaction import excerpt, redact
from resources.settings import load_settings

TOKEN = "sesameopen"  # noqa: S105  # made up  # pragma: allowlist secret
WEBHOOK = "http://127.0.0.1:9/hooks/T000-B000-hush"  # pragma: allowlist secret


@pytest.fixture(autouse=True)
def _settings_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KSHIFT_LICHESS_TOKEN", TOKEN)
    monkeypatch.setenv("KSHIFT_ALERT_WEBHOOK", WEBHOOK)
    monkeypatch.setenv("KSHIFT_DAGSTER_POSTGRES", "postgresql://me:pass%40word@db/x")  # pragma: allowlist secret
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "keyofthestore")
    load_settings()


@pytest.mark.parametrize(
    "secret", [TOKEN, WEBHOOK, "pass%40word", "pass@word", "keyofthestore", "T000-B000-hush", "lip_" + "Unknown12345"]
)
def test_a_secret_is_taken_out_wherever_it_stands(secret: str, tmp_path: Path) -> None:
    assert redact(f"refused: {secret}, sorry") == "refused: ***, sorry"
    assert excerpt(f"refused: {secret}, sorry".encode()) == "refused: ***, sorry"
    kept = Quarantine(tmp_path).keep(f"\xff{secret}\n".encode("latin-1"), "GET /", "no JSON", datetime.now(UTC))
    assert kept.read_bytes().split(b"\n")[1] == b"\xff***"


def test_a_short_secret_stays_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KSHIFT_LICHESS_TOKEN", "games")
    load_settings()

    assert redact("12 games") == "12 games"
