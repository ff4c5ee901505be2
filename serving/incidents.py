"""What is wrong and what waits to be told, for the terminal; and a try whether alerts arrive."""

import json
from datetime import UTC, datetime

from rich.console import Console
from rich.markup import escape

from resources.alerts import Alert, Alerts


def try_out(alerts: Alerts) -> None:
    """Send an alert to every receiver, and its end."""
    subject = f"a test at {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
    alerts.send(Alert(subject, "trouble", "somebody tries whether alerts arrive", "test"))
    alerts.send(Alert(subject, "recovered", "the test is over", "test"))


def show(alerts: Alerts, console: Console, *, as_json: bool) -> bool:
    """Print every incident that has not ended and what could not be delivered; gives whether there is any."""
    incidents, waiting = alerts.incidents(), alerts.waiting()
    if as_json:
        outbox = {name: {"alerts": number, "reason": reason} for name, (number, reason) in waiting.items()}
        print(json.dumps({"incidents": incidents, "waiting": outbox}, indent=1))  # noqa: T201  # the command's answer
        return bool(incidents or waiting)
    for one in incidents:
        text = f"{one['subject']}: {one['text']} (since {one['since']})"
        console.print(f"[red]{one['kind']}[/] {escape(text)}", soft_wrap=True)
        console.print(f"  {escape(one['remedy'])} {one['link']}", soft_wrap=True)
    for name, (number, reason) in waiting.items():
        console.print(f"[yellow]{number} alerts wait for {name}[/] {escape(reason)}", soft_wrap=True)
    if not incidents and not waiting:
        console.print("Nothing is wrong, as far as was told.")
    return bool(incidents or waiting)
