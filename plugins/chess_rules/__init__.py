"""What analytics of chess share: Lichess's own definitions, and games taken apart. No analytic stands here."""
