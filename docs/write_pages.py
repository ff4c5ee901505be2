"""Writes the pages of docs/ that come from the code: `make docs`. Tests fail when one of them is out of date."""

from pathlib import Path

from kshift_assets.definitions import consumer_tables, find_plugins
from kshift_assets.dictionary import data_dictionary
from kshift_assets.published import VIEWS
from resources.contract_page import contract_page
from resources.contracts import CONTRACTS

FOLDER = Path(__file__).parent


def pages() -> dict[str, str]:
    """Name of the page → its text."""
    return {
        "data_dictionary.md": data_dictionary([*consumer_tables(find_plugins()), *VIEWS]),
        "lichess_contract.md": contract_page(CONTRACTS),
    }


if __name__ == "__main__":
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
