"""The workbench: DuckDB in memory to compute marts on, bounded; what does not fit waits on the disk."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
from dagster_duckdb import DuckDBResource


class Workbench(DuckDBResource):
    """A new DuckDB for each connection, with so many megabytes of memory, and a temporary folder for what is more."""

    database: str = ":memory:"
    memory_mb: int

    @contextmanager
    def get_connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection. The folder is its own, since DuckDB calls its files the same in every process."""
        with (
            tempfile.TemporaryDirectory(prefix="kshift-duckdb-") as folder,
            super().get_connection() as connection,
        ):
            connection.execute(f"SET memory_limit = '{self.memory_mb}MB'")
            connection.execute("SET temp_directory = ?", [folder])
            yield connection
