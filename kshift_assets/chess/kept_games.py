"""Games of months whose sources lost documents to retention: cleaning such a month anew keeps what it has.

What belongs here: how cleaning is kept from losing them. What removes documents is in kshift_assets/ops/documents.py.
"""

from collections.abc import Iterable, Iterator

import polars as pl

from kshift_assets.chess.cleaning import Tally
from kshift_assets.chess.merging import merge
from kshift_assets.chess.tables import DUMP_GAMES, PLAYER_GAMES, TV_GAMES
from resources.lake import Lake

SOURCES = (PLAYER_GAMES, TV_GAMES, DUMP_GAMES)
THINNED = 1
"""The mark of a month of a source that lost documents."""


def is_thinned(lake: Lake, month: str) -> bool:
    """Whether a source lost documents of this month whose games are cleaned."""
    return any(lake.marks(table.full_name, [month]).get(month) == THINNED for table in SOURCES)


def with_kept(fresh: Iterable[pl.DataFrame], stored: Iterable[pl.DataFrame], tally: Tally) -> Iterator[pl.DataFrame]:
    """The games that sources still have, and those that are cleaned; where both have one, the richer one is filled.

    `fresh` is in memory as a whole: of a thinned month little is left. `tally` counts the games of which no document
    is there.
    """
    new = pl.concat(fresh)
    met = [new.select("id_game").clear()]
    for batch in stored:
        twins = new.join(batch.select("id_game"), on="id_game", how="semi")
        met.append(twins.select("id_game"))
        tally.n_kept += batch.height - twins.height
        yield merge(twins, batch)
    yield new.join(pl.concat(met), on="id_game", how="anti", maintain_order="left")
