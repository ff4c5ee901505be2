"""The data dictionary: every published table with its columns, types, meanings and rules, written from the models."""

from collections.abc import Iterable

from kshift_assets.reporting import Table
from kshift_assets.tables import Model, descriptions, polars_schema, rules, summary
from resources.lake import duckdb_type

HEAD = """\
# Data dictionary

Every table that consumers may read in `published/latest.duckdb`. Written from the tables' models by `make docs`;
a test fails when it is out of date.

Names of columns: `id_` identifiers, `tm_` UTC timestamps, `dt_` dates, `n_` counts and amounts (unit as suffix),
`ind_` booleans, `val_` everything else, `arr_` lists with one element a ply.
"""


def data_dictionary(tables: Iterable[Table]) -> str:
    """The whole page, as Markdown."""
    return "\n".join([HEAD, *(_section(table.full_name, table.model) for table in tables)])


def _section(name: str, model: Model) -> str:
    texts, checks = descriptions(model), rules(model)
    rows = [
        f"| `{column}` | {duckdb_type(dtype)} | {texts[column]} | {_cell(', '.join(checks[column]))} |"
        for column, dtype in polars_schema(model).items()
    ]
    whole = ", ".join(f"`{check.name}`" for check in model.to_schema().checks)
    extra = [f"\nRules of whole rows: {whole}."] if whole else []
    return "\n".join(
        [
            f"## {name}\n",
            f"{summary(model)}\n",
            "| column | type | meaning | rules |",
            "|---|---|---|---|",
            *rows,
            *extra,
            "",
        ]
    )


def _cell(text: str) -> str:
    return f"`{text}`".replace("|", "\\|") if text else ""
