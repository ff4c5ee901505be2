"""Ours beside Lichess's own answers, on every real game that carries them. `make conformance` prints the report."""
