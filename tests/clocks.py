"""A clock that tests turn by hand, so that an hour of silence takes no time."""

from dataclasses import dataclass, field


@dataclass
class HandClock:
    """Time passes only where somebody sleeps, or where the test says so."""

    wall_now: float = 1_790_000_000.0
    steady_now: float = 50_000.0
    boot_id: str = "first"
    slept: list[float] = field(default_factory=list)

    def wall(self) -> float:
        """Seconds since 1970."""
        return self.wall_now

    def steady(self) -> float:
        """Seconds since the machine started."""
        return self.steady_now

    def boot(self) -> str:
        """Which start."""
        return self.boot_id

    def sleep(self, seconds: float) -> None:
        """Let time pass, and note it."""
        self.slept.append(seconds)
        self.pass_time(seconds)

    def pass_time(self, seconds: float) -> None:
        """Let time pass for everybody."""
        self.wall_now += seconds
        self.steady_now += seconds

    def set_wall(self, seconds: float) -> None:
        """Somebody sets the wall clock forward, or back."""
        self.wall_now += seconds

    def restart(self, after: float) -> None:
        """The machine starts anew; its steady clock begins again."""
        self.wall_now += after
        self.steady_now = 5.0
        self.boot_id += "'"
