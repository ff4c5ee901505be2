"""Audits: rows are checked while they stream to the lake, and a broken rule stops them before the commit."""

from collections.abc import Iterable, Iterator

import dagster as dg
import polars as pl

from kshift_assets.reporting import AuditFailed, Finding
from kshift_assets.tables import Model, polars_schema, split

SHOWN_CASES = 20


class Audit:
    """Watches frames on their way: counts them, holds them to their model, and sees that a key comes once."""

    def __init__(self, model: Model, unique: str | None = None) -> None:
        self.n_rows = 0
        self._model, self._unique = model, unique
        self._schema = polars_schema(model)
        self._hashes: list[pl.Series] = []

    def watch(self, frames: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        """Hand the frames on; raise AuditFailed at the first that breaks a rule, or at the end if a key came twice."""
        self.n_rows, self._hashes = 0, []
        for frame in frames:
            good, bad = split(self._model, frame.select(self._schema.names()))
            if bad.height:
                raise AuditFailed(broken_rules(bad))
            self.n_rows += good.height
            if self._unique:
                self._hashes.append(good.get_column(self._unique).hash())
            yield good
        if (finding := self.uniqueness()) and not finding.passed:
            raise AuditFailed(finding)

    def findings(self) -> list[Finding]:
        """What holds once all frames went through."""
        uniqueness = self.uniqueness()
        return [Finding("schema", passed=True, metadata={"rows": self.n_rows}), *([uniqueness] if uniqueness else [])]

    def uniqueness(self) -> Finding | None:
        """Whether the key came once."""
        if not self._unique:
            return None
        return uniqueness(self._unique, pl.concat(self._hashes) if self._hashes else pl.Series(dtype=pl.UInt64))


def uniqueness(key: str, hashes: pl.Series) -> Finding:
    """Whether a key came once: compared by 64-bit hashes, 8 bytes a row."""
    repeated = hashes.len() - hashes.n_unique()
    text = f"{repeated} rows repeat an {key}" if repeated else ""
    return Finding(f"unique_{key}", passed=not repeated, metadata={"repeated": repeated}, text=text)


def broken_rules(bad: pl.DataFrame) -> Finding:
    """The finding for rows that break a rule, with the number of each reason and the first cases."""
    reasons = bad.get_column("val_reasons").value_counts(sort=True).head(SHOWN_CASES)
    lines = "\n".join(f"| {count} | {reason} |" for reason, count in reasons.iter_rows())
    return Finding(
        "schema",
        passed=False,
        metadata={"rows": bad.height, "cases": dg.MetadataValue.md(f"| rows | broken rule |\n|---|---|\n{lines}")},
        text=f"{bad.height} rows break a rule, first: {reasons.item(0, 0)}",
    )
