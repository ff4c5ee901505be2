"""A month of an analytic: which of its games lack a result, and how these are computed and written."""

from collections.abc import Iterator
from dataclasses import dataclass

import pandera.polars as pa
import polars as pl

from kshift_assets.audit import Audit
from kshift_assets.chess.seen_games import BATCH, SeenGames
from kshift_assets.chess.vocabulary import MONTH, Utc
from kshift_assets.reporting import AuditFailed, Finding, Table
from kshift_assets.tables import Model, polars_schema, split
from plugins import Plugin, PluginError, Spread
from resources.lake import Lake
from resources.rewriting import clear_if_retyped

# Where a larger share of the games fails it is the plugin that is broken; a month of few games tells nothing.
FAILED_FAILURE, FEW_GAMES = 0.5, 20


def stored_model(plugin: Plugin) -> Model:
    """The plugin's schema with what the lake adds: why a game has no result, and from which version and state it is."""
    additions = {
        "val_not_applicable": pa.Field(
            nullable=True, description="Why the analytic says nothing of the game; null where it does"
        ),
        "val_error": pa.Field(nullable=True, description="What went wrong with the game; null where nothing did"),
        "val_plugin_version": pa.Field(eq=plugin.version, description="Version of the plugin that computed the row"),
        "tm_game_ingested": pa.Field(
            description="When the state of the game that it was computed from was fetched, or evaluated"
        ),
        "dt_month": pa.Field(str_matches=MONTH, description="Partition: UTC month of the game"),
    }
    annotations = {"val_not_applicable": str, "val_error": str, "val_plugin_version": str}
    namespace = additions | {
        "__annotations__": annotations | {"tm_game_ingested": Utc, "dt_month": str},
        "__doc__": plugin.description,
        "__module__": __name__,
    }
    return type(f"{plugin.schema.__name__}Stored", (plugin.schema,), namespace)


def analytic_table(plugin: Plugin) -> Table:
    """The table of a plugin: `analytics.<name>`."""
    return Table("analytics", plugin.name, stored_model(plugin))


@dataclass(frozen=True)
class Missing:
    """What a month of an analytic lacks: which of its games to compute, and which stored rows are still right.

    Both are told by their place: `is_missing` goes with `states`, `is_valid` with the rows of the table's `version`.
    """

    states: pl.DataFrame
    is_missing: pl.Series
    is_valid: pl.Series
    version: int | None = None

    @property
    def n_computed(self) -> int:
        """Games to compute."""
        return int(self.is_missing.sum())

    @property
    def n_kept(self) -> int:
        """Stored rows that stay."""
        return int(self.is_valid.sum())

    @property
    def n_dropped(self) -> int:
        """Stored rows that go."""
        return self.is_valid.len() - self.n_kept


def find_missing(plugin: Plugin, states: pl.DataFrame, stored: pl.DataFrame, version: int | None = None) -> Missing:
    """Compare states of games (id_game, tm_game_ingested) with stored rows (the same, and val_plugin_version).

    A row is right if it is of this version and computed from the present state of a game that is still there.
    """
    state = ["id_game", "tm_game_ingested"]
    rows = stored.join(states.with_columns(is_there=True), on=state, how="left", maintain_order="left")
    is_current = pl.col("val_plugin_version") == plugin.version
    is_valid = rows.select((is_current & pl.col("is_there")).fill_null(value=False)).to_series()
    valid = stored.filter(is_valid).select("id_game", has_row=True)
    games = states.join(valid, on="id_game", how="left", maintain_order="left")
    return Missing(states, games.get_column("has_row").is_null(), is_valid, version)


class MonthMoved(Exception):
    """Others wrote rows of the month that are not right for the games as they stand: look anew what is missing."""


class Month:
    """A month of an analytic: what it lacks, and how that is computed and written."""

    def __init__(self, plugin: Plugin, lake: Lake, month: str, spread: Spread) -> None:
        self._plugin, self._lake, self._month, self._spread = plugin, lake, month, spread
        self._table = analytic_table(plugin)
        self._schema = polars_schema(self._table.model)

    def rows(self) -> pl.LazyFrame:
        """What is stored."""
        return self._lake.scan(self._table.full_name, self._schema, self._month)

    def games(self) -> pl.DataFrame:
        """The games that have a row, or must get one."""
        return self._seen().states()

    def write(self) -> Missing:
        """Compute what is missing and commit it, in one piece; returns what it was. AuditFailed if a rule is broken.

        The new rows come beside the stored ones where these are all right, else the whole month is written anew.
        """
        name, audit, seen = self._table.full_name, Audit(self._table.model, unique="id_game"), self._seen()
        clear_if_retyped(self._lake, name, self._schema)  # rows of another version of the plugin are right no more
        missing = self._missing(seen)
        if missing.n_dropped:
            self._lake.overwrite(
                name, lambda: audit.watch(self._all(seen, self._newest(seen, missing))), self._schema, self._month
            )
        elif missing.n_computed:

            def frames() -> Iterator[pl.DataFrame]:
                # The commit has begun: whoever added rows before it may have added these.
                now = self._newest(seen, missing)
                if now.n_dropped:
                    raise MonthMoved
                return audit.watch(self._computed(seen, now))

            try:
                self._lake.extend(name, frames, self._schema, self._month)
            except MonthMoved:
                return self.write()
        return missing

    def _seen(self) -> SeenGames:
        return SeenGames(self._lake, self._month, self._plugin.looks_at)

    def _newest(self, seen: SeenGames, missing: Missing) -> Missing:
        is_current = self._lake.version(self._table.full_name) == missing.version
        return missing if is_current else self._missing(seen)

    def _missing(self, seen: SeenGames) -> Missing:
        version = self._lake.version(self._table.full_name)
        scan = self._lake.scan(self._table.full_name, self._schema, self._month, version)
        stored = scan.select("id_game", "tm_game_ingested", "val_plugin_version").collect()
        return find_missing(self._plugin, seen.states(), stored, version)

    def _all(self, seen: SeenGames, missing: Missing) -> Iterator[pl.DataFrame]:
        offset = 0
        if missing.n_kept:
            for batch in self._lake.batches(
                self._table.full_name, self._schema, self._month, rows=BATCH, version=missing.version
            ):
                yield batch.filter(missing.is_valid[offset : offset + batch.height])
                offset += batch.height
        yield from self._computed(seen, missing)

    def _computed(self, seen: SeenGames, missing: Missing) -> Iterator[pl.DataFrame]:
        if not missing.n_computed:
            return
        n_games, errors = 0, pl.Series(dtype=pl.String)
        for games in seen.batches(missing.states, missing.is_missing):
            rows = compute_rows(self._plugin, games.drop("tm_game_ingested"), self._spread)
            n_games += rows.get_column("val_not_applicable").null_count()
            errors = errors.append(rows.get_column("val_error").drop_nulls())
            states = games.select("id_game", "tm_game_ingested", dt_month=pl.lit(self._month))
            yield rows.join(states, on="id_game", how="left", maintain_order="left")
        if not (finding := mostly_computed(errors, n_games)).passed:
            raise AuditFailed(finding)


def compute_rows(plugin: Plugin, games: pl.DataFrame, spread: Spread = map) -> pl.DataFrame:
    """What the plugin says of a batch of games; AuditFailed if it breaks its contract.

    A game whose values break a rule of the plugin's schema counts as failed, with that rule as its error.
    """
    try:
        computed = plugin.run(games, spread)
    except PluginError as error:
        raise AuditFailed(Finding("mostly_computed", passed=False, text=str(error))) from error
    _, broken = split(plugin.schema, computed.select(*plugin.columns, "val_not_applicable", "val_error"))
    if broken.height:
        reasons = broken.select("id_game", "val_reasons")
        is_good = pl.col("val_reasons").is_null()
        computed = computed.join(reasons, on="id_game", how="left", maintain_order="left").select(
            "id_game",
            *(pl.when(is_good).then(name) for name in computed.columns if name not in {"id_game", "val_error"}),
            pl.coalesce("val_reasons", "val_error").alias("val_error"),
        )
    return computed.with_columns(val_plugin_version=pl.lit(plugin.version))


def mostly_computed(errors: pl.Series, n_games: int) -> Finding:
    """Whether the plugin works at all; a handful of games tells nothing."""
    n_failed = errors.len()
    passed = n_failed <= FAILED_FAILURE * n_games or n_games < FEW_GAMES
    text = "" if passed else f"{n_failed} of {n_games} games failed, so the plugin itself is broken: {errors[0]}"
    return Finding("mostly_computed", passed=passed, metadata={"failed": n_failed, "games": n_games}, text=text)
