"""The asset graph: what exists, and from what it is made."""
