"""How DuckDB reads a lake in an object store: through the same client and variables (AWS_…) as everything else here.

DuckDB's own way is the extension httpfs, which it would download when a query names such a file.
"""

from collections.abc import Iterable

import duckdb
from obstore.fsspec import FsspecStore

SCHEME = "s3://"


def let_read(connection: duckdb.DuckDBPyConnection, texts: Iterable[str]) -> None:
    """Let a connection read the files that these addresses or SQL name; local ones need nothing."""
    if any(SCHEME in text for text in texts) and "s3" not in connection.list_filesystems():
        connection.register_filesystem(FsspecStore("s3"))
