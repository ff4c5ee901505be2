"""Lichess's rating categories: its keys, and their names in columns and in rating histories."""

PERFS = {
    "ultraBullet": "ultra_bullet",
    "bullet": "bullet",
    "blitz": "blitz",
    "rapid": "rapid",
    "classical": "classical",
    "correspondence": "correspondence",
    "chess960": "chess960",
    "crazyhouse": "crazyhouse",
    "antichess": "antichess",
    "atomic": "atomic",
    "horde": "horde",
    "kingOfTheHill": "king_of_the_hill",
    "racingKings": "racing_kings",
    "threeCheck": "three_check",
    "puzzle": "puzzle",
}
"""Key → name in columns of the categories that have a Glicko-2 rating."""
RUNS = ("storm", "racer", "streak")
"""Puzzle games, which have a best score instead of a rating."""

_DISPLAYED = {key.lower(): key for key in PERFS} | {"puzzles": "puzzle"}


def key_of(displayed: str) -> str:
    """The key of a category as rating histories display it, e.g. `King of the Hill`; an unknown one as it is."""
    return _DISPLAYED.get("".join(filter(str.isalnum, displayed.lower())), displayed)
