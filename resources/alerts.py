"""Alerts: what an operator must hear. They go to the log; every alert is one line that says what and since when."""

import logging
from dataclasses import dataclass
from typing import Literal

import dagster as dg

_LOG = logging.getLogger("kshift.alerts")

Severity = Literal["trouble", "recovered"]


@dataclass(frozen=True)
class Alert:
    """One change of state: what it is about, whether things got worse or better, and a sentence."""

    subject: str
    severity: Severity
    text: str


class Alerts(dg.ConfigurableResource["Alerts"]):
    """Where alerts go."""

    def send(self, alert: Alert) -> None:
        """Tell it: trouble as a warning, recovery as information."""
        level = logging.WARNING if alert.severity == "trouble" else logging.INFO
        _LOG.log(level, "%s: %s: %s", alert.severity, alert.subject, alert.text)
