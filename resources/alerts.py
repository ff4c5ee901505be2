"""Alerts: what an operator must hear. Once when something breaks, once when it is well again, whatever is down then."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import dagster as dg
from pydantic import PrivateAttr

from resources.alert_channels import Channel, Letter
from resources.alert_outbox import Outbox
from resources.redaction import redact

_LOG = logging.getLogger("kshift.alerts")

Severity = Literal["trouble", "recovered"]
Kind = Literal["run", "check", "stale", "contract", "circuit", "disk", "daemon", "test"]

REMEDIES: dict[str, str] = {
    "run": "Read the error; once its cause is gone, run the same again: it goes on from what is stored.",
    "check": "Look at the check's cases in the UI. A blocking one keeps the old rows, and the old snapshot, until it "
    "passes.",
    "stale": "See with `kshift runs --failed` why it was not made anew; then `kshift ingest`.",
    "contract": "The source has changed its answers: look into state/quarantine, and update KnightShift.",
    "circuit": "The source keeps failing and is left alone; it is probed again by itself. Look whether it is up.",
    "disk": "Free space on that disk, or move KSHIFT_HOME to a larger one: nothing can be stored when it is full.",
    "daemon": "Start `kshift up` again, or the service that runs it: schedules and sensors rest meanwhile.",
    "test": "Nothing: somebody tries whether alerts arrive.",
}
"""What to do, by kind of incident."""


@dataclass(frozen=True)
class Alert:
    """One change of state: what it is about, whether things got worse or better, and a sentence."""

    subject: str
    """Where: an asset, a step and its month, a host, a folder."""
    severity: Severity
    text: str
    kind: Kind = "run"
    since: datetime | None = None
    """When it began, if that was before it was noticed."""
    path: str = ""
    """Where the web UI shows it, e.g. `/runs/…`."""

    @property
    def incident(self) -> str:
        """What is told once: of one kind, about one subject."""
        return f"{self.kind}:{self.subject}"


@dataclass(frozen=True)
class Delivery:
    """Where alerts go, how many of them, and how links begin. Holds secrets: not configuration, which Dagster shows."""

    channels: Sequence[Channel] = ()
    per_hour: int = 30
    ui_url: str = "http://127.0.0.1:3000"
    secrets: Sequence[str] = field(default=(), repr=False)
    """What must never be in an alert, whatever an error says."""


class Alerts(dg.ConfigurableResource["Alerts"]):
    """Takes alerts, and delivers each incident's beginning and end once, over all processes and restarts.

    Without a folder nothing is remembered: each alert goes to the log, and nowhere else.
    """

    folder: str = ""
    delivery: dg.ResourceDependency[Delivery] = Delivery()  # type: ignore[assignment]  # Dagster's descriptor takes the value

    _outbox: Outbox | None = PrivateAttr(default=None)

    def send(self, alert: Alert, now: datetime | None = None) -> bool:
        """Take an alert, and deliver what waits; gives whether it is news.

        Trouble that is known is no news, nor is the end of trouble that nobody heard of.
        """
        is_news = self._take(alert, now or datetime.now(UTC))
        self.flush(now)
        return is_news

    def observe(self, kind: Kind, troubles: Sequence[Alert], well: str, now: datetime | None = None) -> list[Alert]:
        """Take all present troubles of a kind: known ones that are not among them have ended, with the words `well`.

        Gives those that are news.
        """
        time = now or datetime.now(UTC)
        present = {alert.incident for alert in troubles}
        ended = [
            Alert(subject, "recovered", well, kind)
            for subject in self.troubled(kind)
            if f"{kind}:{subject}" not in present
        ]
        news = [alert for alert in (*troubles, *ended) if self._take(alert, time)]
        self.flush(now)
        return news

    def judge(self, kind: Kind, subject: str, trouble: str | None, well: str) -> None:
        """Take how one thing is now: in trouble, for a reason, or well again."""
        path = f"/assets/{subject}" if "/" in subject else ""
        self.send(Alert(subject, "trouble" if trouble else "recovered", trouble or well, kind, path=path))

    def troubled(self, kind: Kind) -> list[str]:
        """The subjects of this kind's incidents that have not ended."""
        return [one["subject"] for one in self.incidents() if one["kind"] == kind]

    def incidents(self) -> list[dict[str, str]]:
        """Everything that is wrong, as far as it was told: kind, subject, text, since."""
        return self._box().incidents() if self.folder else []

    def waiting(self) -> dict[str, tuple[int, str]]:
        """Channel → alerts that wait for it, and why its last delivery failed."""
        return self._box().waiting() if self.folder else {}

    def flush(self, now: datetime | None = None) -> None:
        """Deliver what waits, in order. What cannot be delivered waits on: a dead receiver breaks nobody's run."""
        if self.folder:
            for channel in self.delivery.channels:
                self._box().deliver(channel, self.delivery.per_hour, now or datetime.now(UTC))

    def _take(self, alert: Alert, now: datetime) -> bool:
        subject, text = (redact(" ".join(part.split()), *self.delivery.secrets) for part in (alert.subject, alert.text))
        letter = Letter(
            severity=alert.severity,
            kind=alert.kind,
            subject=subject,
            text=text,
            time=now.isoformat(timespec="seconds"),
            since=(alert.since or now).isoformat(timespec="seconds"),
            remedy=REMEDIES[alert.kind] if alert.severity == "trouble" else "",
            link=self.delivery.ui_url + alert.path if alert.path else self.delivery.ui_url,
        )
        names = [channel.name for channel in self.delivery.channels]
        is_news = self._box().take(f"{alert.kind}:{subject}", letter, names) if self.folder else True
        if is_news:
            level = logging.WARNING if alert.severity == "trouble" else logging.INFO
            _LOG.log(level, "%s: %s: %s", alert.severity, subject, text)
        return is_news

    def _box(self) -> Outbox:
        if self._outbox is None:
            self._outbox = Outbox(Path(self.folder))
        return self._outbox
