"""What a plugin is: data and one verb. Nothing of Dagster, files or networks belongs here."""

import inspect
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

import pandera.polars as pa
import polars as pl
from pandera.errors import SchemaInitError

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_OWNER = re.compile(r"team:[A-Za-z0-9_.-]+|[^@\s]+@[^@\s]+\.[^@\s]+")
_TAG_KEY = re.compile(r"([A-Za-z0-9_.-]{1,63}/)?[A-Za-z0-9_.-]{1,63}")
_TAG_VALUE = re.compile(r"[A-Za-z0-9_.-]{0,63}")

# Prefix of a column → the types that it may have, and their name in a message.
_TYPES: dict[str, tuple[Callable[[pl.DataType], bool], str]] = {
    "id": (
        lambda dtype: dtype == pl.String or dtype.is_integer(),
        "text or an integer",
    ),
    "tm": (
        lambda dtype: dtype == pl.Datetime("us", "UTC"),
        "a UTC timestamp in microseconds",
    ),
    "dt": (lambda dtype: dtype in (pl.Date, pl.String), "a date, or text for a month"),
    "n": (lambda dtype: dtype.is_numeric(), "a number"),
    "ind": (lambda dtype: dtype == pl.Boolean, "a boolean"),
    "val": (lambda dtype: dtype in (pl.String, pl.Boolean) or dtype.is_numeric(), "a text or a number"),
    "arr": (lambda dtype: isinstance(dtype, pl.List), "a list, e.g. list[int]"),
}
_COLUMN = re.compile(rf"({'|'.join(_TYPES)})(_[a-z0-9]+)+")

# What the lake writes beside each row of an analytic.
_ADDED_BY_THE_LAKE = frozenset(
    {"dt_month", "tm_game_ingested", "val_error", "val_not_applicable", "val_plugin_version"}
)

# Words that DuckDB's parser keeps for itself (duckdb_keywords(): reserved, type_function): as a table's name they
# would have to stand in quotes in every query.
SQL_WORDS = frozenset(
    """
    all analyse analyze and anti any array as asc asof asymmetric at authorization binary both by case cast check
    collate collation column columns concurrently constraint create cross default deferrable desc describe distinct do
    else end except false fetch for foreign freeze from full generated glob group having ilike in initially inner
    intersect into is isnull join lambda lateral leading left like limit map natural not notnull null offset on only or
    order outer overlaps pivot pivot_longer pivot_wider placing positional primary qualify references returning
    right select semi show similar some struct summarize symmetric table tablesample then to trailing true try_cast
    tuple union unique unpack unpivot using variadic verbose when where window with
    """.split()  # noqa: SIM905  # a list of 110 literals would take 110 lines
)


class PluginError(Exception):
    """A plugin breaks the contract; the text is one sentence that names the plugin or its file, and the remedy."""


@dataclass(frozen=True, eq=False)
class Need:
    """Something that a game must have: its name, the reason given where it is missing, and how that is told.

    `met` is true or false for every game, and looks at the columns `reads` only.
    """

    name: str
    reason: str
    reads: tuple[str, ...]
    met: pl.Expr


class Spread(Protocol):
    """How work is done piece by piece: as the builtin `map` does, or by worker processes. Answers come in order."""

    def __call__(self, work: Callable[[Any], Any], pieces: Iterable[Any], /) -> Iterable[Any]:
        """The answer of `work` for each piece."""


@dataclass(frozen=True)
class Answers:
    """What a plugin made of games: rows of those that went well, in their order, and the errors of the others.

    Errors are known by the position of their game among those that were asked about, from 0.
    """

    rows: pl.DataFrame
    errors: Mapping[int, str]


@dataclass(frozen=True, kw_only=True, eq=False)
class Plugin(ABC):
    """One analytic: what it is called, what it reads, what it yields, and the function that does it.

    `compute` is asked about games that meet all `needs`, of which it sees the columns `reads`, and tells for each the
    columns of `schema`. It is pure: a game's row depends on that game alone. `version` is the asset's code version:
    raise it whenever results would change. Raises PluginError when the contract is broken. What `compute` takes and
    gives is for the kind to say: see plugins/kinds.py.
    """

    name: str
    version: str
    description: str
    schema: type[pa.DataFrameModel]
    reads: tuple[str, ...]
    needs: tuple[Need, ...] = ()
    compute: Callable[..., object]
    owner: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    takes: ClassVar[tuple[str, ...]] = ("games",)

    def __post_init__(self) -> None:
        for problem in _problems(self):
            raise PluginError(f"plugin {self.name!r}: {problem}")

    @abstractmethod
    def answers(self, games: pl.DataFrame, spread: Spread) -> Answers:
        """What `compute` makes of the columns `reads` of games that meet all needs; PluginError if it cannot work."""

    @property
    def columns(self) -> pl.Schema:
        """The columns of a result and their types, in order."""
        return _columns(self.schema)

    @property
    def looks_at(self) -> tuple[str, ...]:
        """Every column of the games that is asked for: those that `compute` reads, and those that tell the needs."""
        return tuple(dict.fromkeys([*self.reads, *(column for need in self.needs for column in need.reads)]))

    @property
    def source_file(self) -> Path:
        """The file that holds `compute`."""
        return Path(inspect.getfile(inspect.unwrap(self.compute))).resolve()

    @property
    def source_line(self) -> int:
        """The line on which `compute` begins, from 1."""
        return int(inspect.unwrap(self.compute).__code__.co_firstlineno)

    def check_reads(self, known: Collection[str]) -> None:
        """Raise PluginError if the plugin reads a column that is not among `known`."""
        for column in self.looks_at:
            if column not in known:
                raise PluginError(
                    f"plugin {self.name!r}: it reads the column {column!r}, which the games do not have; "
                    f"choose from {', '.join(sorted(known))}"
                )

    def run(self, games: pl.DataFrame, spread: Spread = map) -> pl.DataFrame:
        """Results for `games`, one row a game in the same order; PluginError if `compute` breaks the contract.

        Columns: those of the schema; `val_not_applicable`, the reason where a game does not meet a need; `val_error`,
        what `compute` raised. Where one of these is there the others are null.
        """
        reasons = pl.coalesce(
            *(pl.when(~need.met.fill_null(value=False)).then(pl.lit(need.reason)) for need in self.needs),
            pl.lit(None, pl.String),
        )
        marked = games.select("id_game", val_not_applicable=reasons)
        applies = marked.get_column("val_not_applicable").is_null()
        found = self.answers(games.filter(applies).select(self.reads), spread)
        if applies.all() and not found.errors:
            return found.rows.with_columns(marked.get_column("val_not_applicable"), val_error=pl.lit(None, pl.String))
        places = pl.DataFrame({"n_row": applies.arg_true()}).with_row_index("n_asked")
        errors = pl.DataFrame(
            list(found.errors.items()), schema={"n_asked": pl.UInt32, "val_error": pl.String}, orient="row"
        )
        asked = places.join(errors, on="n_asked", how="left", maintain_order="left")
        answered = asked.filter(pl.col("val_error").is_null()).select("n_row").hstack(found.rows.drop("id_game"))
        results = marked.with_row_index("n_row").join(answered, on="n_row", how="left", maintain_order="left")
        results = results.join(asked.select("n_row", "val_error"), on="n_row", how="left", maintain_order="left")
        return results.select(*self.columns, "val_not_applicable", "val_error")


def _problems(plugin: Plugin) -> Iterator[str]:
    yield from _problems_of_texts(plugin)
    yield from _problems_of_schema(plugin.schema)
    yield from _problems_of_reads(plugin.reads)
    if not isinstance(plugin.needs, tuple) or not all(isinstance(need, Need) for need in plugin.needs):
        yield f"its needs {plugin.needs!r} are not a tuple of plugins.Need; write needs=(EVALUATIONS,) or none"
    yield from _problems_of_compute(plugin.compute, plugin.takes)
    if plugin.owner is not None and not _full(_OWNER, plugin.owner):
        yield f"the owner {plugin.owner!r} is neither 'team:<name>' nor an e-mail address; write one of them or none"
    if not isinstance(plugin.tags, Mapping):
        yield f"the tags {plugin.tags!r} are not a mapping; write tags={{'key': 'value'}}"
    else:
        for key, value in plugin.tags.items():
            if not (_full(_TAG_KEY, key) and _full(_TAG_VALUE, value)):
                yield f"the tag {key!r}: {value!r} is not plain; use at most 63 letters, digits, `_`, `.` and `-`"


def _problems_of_texts(plugin: Plugin) -> Iterator[str]:
    if not _full(_NAME, plugin.name):
        yield "its name is not in snake_case; write lower-case words joined by `_`, as in 'move_count'"
    elif plugin.name in SQL_WORDS:
        yield "its name is a word of SQL; choose another, so that analytics.<name> needs no quotes"
    if not isinstance(plugin.version, str) or not plugin.version.strip():
        yield f"its version {plugin.version!r} is not a text with something in it; write one, as in '1'"
    if not isinstance(plugin.description, str) or not plugin.description.strip():
        yield "it has no description; say in a sentence what it tells"


def _problems_of_schema(schema: type[pa.DataFrameModel]) -> Iterator[str]:
    if not (isinstance(schema, type) and issubclass(schema, pa.DataFrameModel)):
        yield f"its schema {schema!r} is no model of pandera.polars; derive a class from pandera.polars.DataFrameModel"
        return
    label = schema.__name__
    try:
        columns = schema.to_schema().columns
        types = _columns(schema)
    except (SchemaInitError, TypeError, ValueError, NameError) as error:
        yield f"its schema {label} cannot be read ({one_line(error)}); annotate each column with a type of polars"
        return
    if next(iter(columns), None) != "id_game" or types["id_game"] != pl.String or columns["id_game"].nullable:
        yield f"its schema {label} does not begin with id_game; let the first column be `id_game: str`, not nullable"
    if len(columns) == 1:
        yield f"its schema {label} tells nothing about a game; add a column for each result"
    for name, column in columns.items():
        yield from _problems_of_column(name, column, types[name])


def _problems_of_column(name: str, column: pa.Column, kind: pl.DataType) -> Iterator[str]:
    if name in _ADDED_BY_THE_LAKE:
        yield f"its column {name!r} is one that the lake adds; leave it out"
    if not _full(_COLUMN, name):
        yield (
            f"its column {name!r} breaks the convention of names; "
            f"begin it with {', '.join(f'`{prefix}_`' for prefix in _TYPES)}, lower case"
        )
        return
    fits, meaning = _TYPES[name.partition("_")[0]]
    if not fits(kind):
        yield f"its column {name!r} has the type {kind}; give it {meaning}, or another prefix"
    if not (column.description or "").strip():
        yield f"its column {name!r} has no description; write pa.Field(description=…), units included"
    if not column.nullable and name != "id_game":
        yield f"its column {name!r} is never null; write nullable=True: games of which it says nothing have rows"


def _problems_of_reads(reads: tuple[str, ...]) -> Iterator[str]:
    if not isinstance(reads, tuple) or not all(isinstance(column, str) for column in reads):
        yield f"its reads {reads!r} are not a tuple of column names; write reads=('id_game', …)"
    elif "id_game" not in reads:
        yield "it does not read id_game, by which its rows are known; add 'id_game' to reads"
    elif len(set(reads)) < len(reads):
        yield "it reads a column twice; name each once in reads"


def _problems_of_compute(compute: Callable[..., object], takes: tuple[str, ...]) -> Iterator[str]:
    wanted = f"write `def compute({', '.join(takes)})`, see plugins/kinds.py"
    if not (callable(compute) and inspect.isfunction(inspect.unwrap(compute))):
        yield f"its compute {compute!r} is not a function; {wanted}"
        return
    try:
        inspect.signature(compute).bind(*takes)
    except TypeError:
        number = "one argument" if len(takes) == 1 else f"{len(takes)} arguments"
        yield f"its compute cannot be called with {number}; {wanted}"


def _columns(schema: type[pa.DataFrameModel]) -> pl.Schema:
    return pl.Schema({name: column.dtype.type for name, column in schema.to_schema().columns.items()})


def _full(pattern: re.Pattern[str], text: object) -> bool:
    return isinstance(text, str) and pattern.fullmatch(text) is not None


def listed(columns: pl.Schema) -> str:
    """Columns and types, as an error's sentence shows them."""
    return ", ".join(f"{name} {dtype}" for name, dtype in columns.items())


def one_line(error: BaseException) -> str:
    """Type and text of an error, in one line of bearable length."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:500]
