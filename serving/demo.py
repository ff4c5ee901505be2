"""The embedded sample: where it lies, whom its demonstration follows, and the question that it answers."""

import re
from pathlib import Path

import orjson
from rich.console import Console
from rich.markup import escape

from resources.errors import UserError
from resources.settings import Settings
from resources.snapshots import Snapshots
from serving.sql import ask, connect, write

SAMPLE = Path(__file__).parents[1] / "data" / "sample"

QUESTION = """
SELECT val_family AS opening, sum(n_games) AS games,
    round(sum(n_games * n_white_score_pct) / sum(n_games), 1) AS white_scores_pct,
    round(sum(n_games * n_plies_mean) / sum(n_games) / 2) AS moves
FROM marts.opening_results
GROUP BY ALL HAVING sum(n_games) >= 20
ORDER BY white_scores_pct DESC
LIMIT 5
"""


def sample_players(folder: Path = SAMPLE) -> list[str]:
    """The open accounts of the sample."""
    if not folder.is_dir():
        raise UserError(f"the sample is not in {folder}: run the demo from a checkout of KnightShift")
    users = orjson.loads((folder / "users.json").read_bytes())
    return [user["id"] for user in users if not user.get("disabled")]


def sample_months(folder: Path = SAMPLE) -> list[str]:
    """The months that the sample has dumps of."""
    return sorted(
        found[1] for path in folder.rglob("*.pgn.zst") if (found := re.search(r"_(\d{4}-\d{2})\.pgn", path.name))
    )


def tell_answers(settings: Settings, console: Console) -> None:
    """What landed, one answer worth reading, and what to type next."""
    catalog = Snapshots(folder=str(settings.published)).latest() or {"tables": {}}
    console.print("\n[bold]What landed[/]")
    for name, table in catalog["tables"].items():
        if table["rows"]:
            console.print(f"  {name:<28}{table['rows']:>10,} rows")
    console.print("\n[bold]Which openings pay for White?[/] Points per game in percent, from marts.opening_results:")
    with connect(settings.published / "latest.duckdb", [settings.lake_uri]) as connection:
        write(ask(connection, QUESTION), "table")
    console.print("Next:")
    for command in (
        'kshift sql "SELECT * FROM marts.player_summary ORDER BY n_games DESC LIMIT 10"',
        "kshift status",
        "kshift up",
    ):
        console.print(f"  [bold]{escape(command)}[/]", soft_wrap=True)
