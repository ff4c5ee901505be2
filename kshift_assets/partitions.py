"""The one way in which tables are split: by UTC month, from the first Lichess dump on, the running month included."""

import dagster as dg

MONTHS = dg.MonthlyPartitionsDefinition(start_date="2013-01", fmt="%Y-%m", timezone="UTC", end_offset=1)
