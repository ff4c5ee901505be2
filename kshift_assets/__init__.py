"""The asset graph: what exists, and from what it is made."""

import warnings

import dagster as dg

# Checks split by month and code references are previews in Dagster 1.13, which says so at every use of them.
warnings.filterwarnings("ignore", category=dg.PreviewWarning)
warnings.filterwarnings("ignore", category=dg.BetaWarning)
