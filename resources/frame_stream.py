"""Frames on their way into a Delta commit, one at a time."""

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from queue import Full, Queue
from threading import Event
from typing import Any

import polars as pl
import pyarrow as pa
from deltalake import DeltaTable, WriterProperties, write_deltalake

ZSTD = WriterProperties(compression="ZSTD", compression_level=3, max_row_group_size=100_000)


class FrameStream:
    """Frames on their way into a commit: cast to the schema, counted, made in the caller's thread.

    delta-rs pulls a stream from inside its own runtime, where no other table can be opened: so the commit runs in a
    second thread, and takes from a short queue what the caller's thread makes.
    """

    def __init__(self, frames: Iterable[pl.DataFrame], schema: pl.Schema) -> None:
        self.n_rows = 0
        self._frames, self._schema = frames, schema
        self._queue: Queue[pl.DataFrame | None] = Queue(maxsize=2)
        self._is_broken = Event()

    def write(self, target: DeltaTable, **options: Any) -> None:  # noqa: ANN401  # passed on to delta-rs
        """Commit all frames; an exception of their maker comes out as it was, and nothing is committed."""
        reader = pa.RecordBatchReader.from_batches(arrow_schema(self._schema), self._batches())
        with ThreadPoolExecutor(1, "commit") as thread:
            commit = thread.submit(partial(write_deltalake, target, reader, writer_properties=ZSTD, **options))
            try:
                for frame in self._frames:
                    if commit.done():  # it failed, on a full disk for one: the other frames need not be made
                        break
                    self.n_rows += frame.height
                    self._put(frame.select(self._schema.names()).cast(self._schema), commit)
            except BaseException:
                self._is_broken.set()
                self._put(None, commit)
                wait([commit])
                raise
            self._put(None, commit)
            commit.result()

    def _put(self, frame: pl.DataFrame | None, commit: "Future[None]") -> None:
        while not commit.done():  # a commit that failed takes nothing any more
            try:
                self._queue.put(frame, timeout=0.1)
            except Full:
                continue
            return

    def _batches(self) -> Iterator[pa.RecordBatch]:
        while (frame := self._queue.get()) is not None:
            yield from frame.to_arrow().to_batches()
        if self._is_broken.is_set():
            raise InterruptedError("the frames could not be made")


def arrow_schema(schema: pl.Schema) -> pa.Schema:
    """The Arrow schema in which a table is written."""
    return pl.DataFrame(schema=schema).to_arrow().schema
