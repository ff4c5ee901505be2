"""What people look at: the command line, SQL over the published snapshot, the replay of the sample."""
