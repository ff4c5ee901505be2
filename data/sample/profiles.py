"""The players of the sample as the site shows them: in games, as profiles, through time, and on TV."""

from collections import Counter, defaultdict
from typing import Any

from rating import Game, Ledger
from world import BOTS, DISABLED, VIOLATOR, Player, dice, happens

Document = dict[str, Any]
PERF_NAMES = {
    "bullet": "Bullet", "blitz": "Blitz", "rapid": "Rapid", "classical": "Classical",
    "correspondence": "Correspondence", "chess960": "Chess960", "kingOfTheHill": "King of the Hill",
    "threeCheck": "Three-check", "antichess": "Antichess", "atomic": "Atomic", "horde": "Horde",
    "racingKings": "Racing Kings", "crazyhouse": "Crazyhouse", "ultraBullet": "UltraBullet",
}  # fmt: skip
CHANNELS = ("best", "bot", "computer", *(perf for perf in PERF_NAMES if perf != "correspondence"))
FLAGS = ("NZ", "IS", "PT", "KE", "UY", "_earth")
BIOS = (
    "Invented for a sample. Plays the same opening until it works.",
    "Not a person: part of a sample data set.",
    "Lives on a hard disk, dreams of the seventh rank.",
)


def shown(player: Player) -> Document:
    """Return a player as games and TV show them."""
    user: Document = {"name": player.name}
    if player.title:
        user["title"] = player.title
    if player.flair:
        user["flair"] = player.flair
    if player.patron:
        user |= {"patron": True, "patronColor": 1 + len(player.name) % 10}
    return {**user, "id": player.id_user}


def users(games: list[Game], people: dict[str, Player], ledger: Ledger) -> list[Document]:
    """Return the public profiles, as they are when the sample ends."""
    results: dict[str, Counter[str]] = defaultdict(Counter)
    seen: dict[str, int] = {}
    for game in games:
        for side, name in game.sides:
            if not name or game.played.status == "aborted":
                continue
            outcome = "draw" if game.played.winner is None else "win" if game.played.winner == side else "loss"
            results[name].update(["all", outcome, *(["rated"] if game.plan.rated else [])])
            results[name]["seconds"] += game.played.duration_ms // 1000 if game.plan.initial_s is not None else 0
            seen[name] = max(seen.get(name, 0), game.last_move_ms)
    return [_profile(player, results[player.name], seen.get(player.name, 0), ledger) for player in people.values()]


def _profile(player: Player, results: Counter[str], seen_ms: int, ledger: Ledger) -> Document:
    if player.name == DISABLED:
        return {"id": player.id_user, "username": player.name, "disabled": True}
    rng = dice("profile", player.name)
    perfs: Document = {}
    earlier = 0
    for perf in PERF_NAMES:
        if (player.name, perf) in ledger.standings or perf in ("bullet", "blitz", "rapid", "classical"):
            standing = ledger.standing(player.name, perf)
            before = 0 if standing.rating == 1500 or standing.provisional else rng.randrange(40, 3000)  # noqa: PLR2004 - where all begin
            earlier += before
            perfs[perf] = {
                "games": before + standing.games,
                "rating": standing.rating,
                "rd": round(standing.deviation),
                "prog": rng.randrange(-40, 40),
                **({"prov": True} if standing.provisional else {}),
            }
    perfs["puzzle"] = {"games": rng.randrange(900), "rating": player.strength + 150, "rd": 80, "prog": 0}
    draws, wins = earlier // 20, earlier * 48 // 100
    user = shown(player)
    optional: Document = {key: user[key] for key in ("title", "flair", "patron", "patronColor") if key in user}
    if player.name == VIOLATOR:
        optional["tosViolation"] = True
    profile: Document = {"bio": rng.choice(BIOS), "flag": rng.choice(FLAGS)} if happens(rng, 0.7) else {}
    return {
        "id": player.id_user,
        "username": player.name,
        "perfs": perfs,
        **optional,
        "createdAt": 1_300_000_000_000 + rng.randrange(390_000_000_000),
        **({"profile": profile} if profile else {}),
        "seenAt": seen_ms,
        "playTime": {"total": results["seconds"] + earlier * 400, "tv": rng.randrange(5000)},
        "url": f"https://lichess.org/@/{player.name}",
        "count": {
            "all": earlier + results["all"],
            "rated": earlier + results["rated"],
            "draw": draws + results["draw"],
            "loss": earlier - draws - wins + results["loss"],
            "win": wins + results["win"],
            "bookmark": rng.randrange(30),
            "playing": 0,
            "import": 0,
            "me": 0,
        },
    }


def rating_history(people: dict[str, Player], ledger: Ledger) -> Document:
    """Return each user's ratings by day and category; months count from 0, as in the API."""
    return {
        player.id_user: [
            {
                "name": title,
                "points": [
                    [int(day[:4]), int(day[5:7]) - 1, int(day[8:]), rating]
                    for day, rating in sorted(ledger.history[name, perf].items())
                ],
            }
            for perf, title in PERF_NAMES.items()
        ]
        for name, player in people.items()
    }


def tv_script(games: list[Game], people: dict[str, Player]) -> dict[str, list[Document]]:
    """Return what each of the sixteen TV channels shows: games, the first one now, each seen from one side."""
    fit: dict[str, list[Game]] = {channel: [] for channel in CHANNELS}
    for game in games:
        plan = game.plan
        if plan.dump_only or len(game.played.moves) < 2:  # noqa: PLR2004 - not to be seen on TV
            continue
        kind = "computer" if plan.ai_level else "bot" if {plan.white, plan.black} & set(BOTS) else plan.perf
        if kind in fit and plan.variant != "fromPosition":
            fit[kind].append(game)
    rng = dice("tv")
    script = {c: [_on_air(g, people) for g in rng.sample(found, min(8, len(found)))] for c, found in fit.items()}
    stars = [found[0] for channel, found in script.items() if found and channel not in ("bot", "computer")]
    script["best"] = sorted(stars, key=lambda star: (-star["rating"], star["gameId"]))[:1]
    return {channel: script[channel] for channel in rng.sample(CHANNELS, len(CHANNELS))}


def _on_air(game: Game, people: dict[str, Player]) -> Document:
    """Show the game from the stronger side that has an account."""
    named = [(game.marks[side]["rating"], side, name) for side, name in game.sides if name]
    rating, side, name = max(named)
    return {"user": shown(people[name]), "rating": rating, "gameId": game.plan.id_game, "color": side}
