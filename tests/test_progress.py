"""How far work has come, in numbers and words: with a clock that the test turns."""

import pytest

from kshift_assets.progress import Meter, duration


class Clock:
    """Stands still until it is turned."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_a_meter_tells_share_speed_and_what_is_left() -> None:
    clock = Clock()
    meter = Meter(30_000_000_000, clock)
    clock.seconds = 60.0
    meter.n_here = 3_000_000_000
    assert str(meter) == "10 % of 30.0 GB, 50.0 MB/s, 9 min left"
    assert meter.metadata() == {"MB/s": 50.0, "seconds left": 540.0, "done %": 10.0}


def test_what_was_there_before_is_done_but_not_fast() -> None:
    clock = Clock()
    meter = Meter(100_000_000, clock)
    meter.skip(50_000_000)
    clock.seconds = 10.0
    meter.n_here += 10_000_000
    assert str(meter) == "60 % of 100.0 MB, 1.0 MB/s, 40 s left"


def test_without_a_size_nobody_knows_how_long_it_takes() -> None:
    clock = Clock()
    meter = Meter(None, clock)
    clock.seconds = 2.0
    meter.n_here = 5_000_000
    assert str(meter) == "5.0 MB, 2.5 MB/s"
    assert meter.share is None


def test_nothing_done_is_no_speed() -> None:
    assert str(Meter(1_000_000, Clock())) == "0 % of 1.0 MB, 0.0 MB/s"


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (59, "59 s"), (60, "1 min"), (754, "13 min"), (7500, "2 h 05 min")]
)
def test_durations_are_said_as_one_says_them(seconds: float, words: str) -> None:
    assert duration(seconds) == words
