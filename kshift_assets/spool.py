"""Frames that wait on the disk until another table has been written: memory stays flat however many there are."""

import tempfile
from collections.abc import Iterator
from os import SEEK_END
from types import TracebackType
from typing import Self

import polars as pl
import pyarrow as pa

_ROWS = 10_000
_OPTIONS = pa.ipc.IpcWriteOptions(compression="zstd")


class Spool:
    """Frames of one schema in a temporary file without a name, which goes when it is closed or the process ends."""

    def __init__(self, schema: pl.Schema) -> None:
        self._schema = pl.DataFrame(schema=schema).to_arrow().schema
        self._file = tempfile.TemporaryFile(prefix="kshift-")  # noqa: SIM115  # closed by __exit__
        self._writer: pa.RecordBatchStreamWriter | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def clear(self) -> None:
        """Forget all frames."""
        self._file.seek(0)
        self._file.truncate()
        self._writer = None

    def add(self, frame: pl.DataFrame) -> None:
        """Put a frame behind the others; between `frames` and the next `clear` none may be added."""
        if frame.is_empty():
            return
        if self._writer is None:
            self._writer = pa.ipc.new_stream(self._file, self._schema, options=_OPTIONS)
        for part in frame.iter_slices(_ROWS):
            self._writer.write_table(part.to_arrow().cast(self._schema))

    def frames(self) -> Iterator[pl.DataFrame]:
        """All frames, from the first, in pieces of some thousand rows; as often as asked."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        if self._file.seek(0, SEEK_END) == 0:
            return
        self._file.seek(0)
        for batch in pa.ipc.open_stream(self._file):
            yield pl.DataFrame(pl.from_arrow(batch))
