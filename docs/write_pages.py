"""Writes the pages of docs/ that come from the code: `make docs`. Tests fail when one of them is out of date."""

import json
import sys
from pathlib import Path

from kshift_assets.definitions import consumer_tables, find_plugins
from kshift_assets.dictionary import data_dictionary
from kshift_assets.migrations import MIGRATIONS
from kshift_assets.published import VIEWS
from kshift_assets.schema_versions import forgotten, schema_versions, told
from resources.contract_page import contract_page
from resources.contracts import CONTRACTS

FOLDER = Path(__file__).parent
VERSIONS = "schema_versions.json"


def pages() -> dict[str, str]:
    """Name of the page → its text."""
    return {
        "data_dictionary.md": data_dictionary([*consumer_tables(find_plugins()), *VIEWS]),
        "lichess_contract.md": contract_page(CONTRACTS),
        VERSIONS: json.dumps(schema_versions(MIGRATIONS, find_plugins()), indent=1) + "\n",
    }


if __name__ == "__main__":
    new = pages()
    if (stored := FOLDER / VERSIONS).exists():
        before = json.loads(stored.read_text(encoding="utf-8"))
        if tables := forgotten(before, json.loads(new[VERSIONS]), MIGRATIONS):
            sys.exit(told(tables))
    for name, text in new.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
