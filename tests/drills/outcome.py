"""What a drill found: the numbers that the table prints."""

from dataclasses import dataclass, field


@dataclass
class Outcome:
    """Of one drill, or of many."""

    trials: int = 0
    kills: int = 0
    lost: int = 0
    """Games, rows or files that were acknowledged and are gone."""
    torn: int = 0
    """Reads in which tables, or rows of one table, did not belong together."""
    wrong: list[str] = field(default_factory=list)
    """Other broken promises, in words: nothing was told, it does not go on by itself, something is left behind."""
    recovery: list[float] = field(default_factory=list)
    """Seconds from the end of a fault until everything was there again."""
    skipped: str = ""
    """Why the drill cannot be done here."""

    @property
    def is_green(self) -> bool:
        """Whether no promise was broken."""
        return not (self.lost or self.torn or self.wrong)

    def __add__(self, other: "Outcome") -> "Outcome":
        """Both together."""
        return Outcome(
            self.trials + other.trials,
            self.kills + other.kills,
            self.lost + other.lost,
            self.torn + other.torn,
            self.wrong + other.wrong,
            self.recovery + other.recovery,
            self.skipped or other.skipped,
        )
