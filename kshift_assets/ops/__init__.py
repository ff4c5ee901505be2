"""What the lakehouse knows of its own work: the history of its runs."""
