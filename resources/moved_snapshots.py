"""Published snapshots of a lake that lies elsewhere now: their views and catalogs name the files where they are."""

import json
import shutil
from pathlib import Path

import duckdb

from resources.durability import sync
from resources.object_store import let_read
from resources.snapshots import CATALOG, DATABASE

_VIEWS = "SELECT schema_name || '.' || view_name, sql, comment FROM duckdb_views() WHERE NOT internal"
_COLUMNS = """
SELECT schema_name || '.' || table_name || '.' || column_name, duckdb_columns.comment FROM duckdb_columns()
WHERE NOT internal AND duckdb_columns.comment IS NOT NULL
"""


def move_snapshots(published: Path, before: str, after: str) -> None:
    """Let every snapshot read the lake `after` where it read the lake `before`, a folder or an address each."""
    old, new = f"{before.rstrip('/')}/", f"{after.rstrip('/')}/"
    for folder in sorted((published / "snapshots").glob("[!.]*")):
        catalog = json.loads((folder / CATALOG).read_bytes())
        for table in catalog["tables"].values():
            table["files"] = [new + file.removeprefix(old) if file.startswith(old) else file for file in table["files"]]
        _replace_views(folder / DATABASE, old, new)
        fresh = folder / f".{CATALOG}"
        fresh.write_text(json.dumps(catalog, indent=1) + "\n", encoding="utf-8")
        fresh.replace(folder / CATALOG)


def _replace_views(database: Path, old: str, new: str) -> None:
    fresh = database.with_name(f".{database.name}")
    shutil.copyfile(database, fresh)
    with duckdb.connect(str(fresh)) as connection:
        views = connection.execute(_VIEWS).fetchall()
        texts = connection.execute(_COLUMNS).fetchall()
        let_read(connection, [new])
        for name, sql, text in views:
            query = sql.partition(" AS ")[2].replace(f"'{old}", f"'{new}")
            connection.execute(f"CREATE OR REPLACE VIEW {name} AS {query}")
            connection.execute(f"COMMENT ON VIEW {name} IS {_quoted(text)}")
        for column, text in texts:
            connection.execute(f"COMMENT ON COLUMN {column} IS {_quoted(text)}")
        connection.execute("CHECKPOINT")
    sync(fresh)
    fresh.replace(database)


def _quoted(text: str | None) -> str:
    return "NULL" if text is None else "'" + text.replace("'", "''") + "'"
