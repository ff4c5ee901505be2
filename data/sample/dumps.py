"""The monthly dumps of the sample: games as PGN, packed, with checksums, counts and one damage."""

import hashlib
import io
from collections import Counter
from datetime import datetime
from pathlib import Path

import judging
import zstandard
from playing import Played
from rating import Game, utc
from world import Player

DUMP_MONTHS = ("2024-01", "2024-02")
DUMP_NAME = "lichess_db_standard_rated_{month}.pgn.zst"
FRAME_BYTES = 256 * 1024
SKIPPABLE = 0x184D2A50
LEVEL = 19
LONG_ENOUGH = 40  # plies of a game that can be cut in its middle


def pgn(game: Game, people: dict[str, Player], until_ms: int) -> str:
    """Return a game as a monthly dump has it; plies after `until_ms` had not been made when it was written."""
    plan, played = game.plan, game.played
    # Dumps are written some days into the next month: only correspondence games are still going on by then.
    over = game.last_move_ms < until_ms or plan.initial_s is not None
    n_plies = len(played.moves) if over else sum(game.created_ms + ms < until_ms for ms in played.ply_ms)
    result = {"white": "1-0", "black": "0-1"}.get(played.winner or "", "1/2-1/2") if over else "*"
    ends = {"outoftime": "Time forfeit", "timeout": "Abandoned", "noStart": "Abandoned"}
    speed = plan.speed[0].upper() + plan.speed[1:]
    event = f"Rated {speed} game"
    if plan.tournament:
        event = f"Rated {speed} tournament https://lichess.org/tournament/{plan.tournament}"
    if plan.swiss:
        event = f"{speed} swiss https://lichess.org/swiss/{plan.swiss}"
    created = utc(game.created_ms)
    marks = game.marks
    opening = played.opening or {"eco": "?", "name": "?"}
    tags: dict[str, object] = {
        "Event": event,
        "Site": f"https://lichess.org/{plan.id_game}",
        "Date": created.strftime("%Y.%m.%d"),
        "Round": "-",
        "White": plan.white,
        "Black": plan.black,
        "Result": result,
        "UTCDate": created.strftime("%Y.%m.%d"),
        "UTCTime": created.strftime("%H:%M:%S"),
        "WhiteElo": marks["white"]["rating"],
        "BlackElo": marks["black"]["rating"],
    }
    if over and "ratingDiff" in marks["white"]:
        tags |= {"WhiteRatingDiff": f"{marks['white']['ratingDiff']:+d}"}
        tags |= {"BlackRatingDiff": f"{marks['black']['ratingDiff']:+d}"}
    for side, name in game.sides:
        if title := people[name or ""].title:
            tags[f"{side.title()}Title"] = title
    tags |= {
        "ECO": opening["eco"],
        "Opening": opening["name"],
        "TimeControl": "-" if plan.initial_s is None else f"{plan.initial_s}+{plan.increment_s}",
        "Termination": ends.get(played.status, "Normal") if over else "Unterminated",
    }
    head = "".join(f'[{key} "{value}"]\n' for key, value in tags.items())
    return f"{head}\n{movetext(played, n_plies, with_analysis=over)} {result}\n\n"


def movetext(played: Played, n_plies: int, *, with_analysis: bool) -> str:
    """Return the moves in one line, with what the dumps tell of each in comments."""
    words: list[str] = []
    before: judging.Entry = {"eval": judging.START_CP}
    for ply, san in enumerate(played.moves[:n_plies]):
        notes, mark = [], ""
        if with_analysis and played.analysis and ply < len(played.analysis):
            after = played.analysis[ply]
            mark = judging.glyph(before, after, -1 if ply % 2 else 1)
            notes.append(f"[%eval #{after['mate']}]" if "mate" in after else f"[%eval {after['eval'] / 100}]")
            before = after
        if played.clocks:
            seconds = (played.clocks[ply] + 50) // 100
            notes.append(f"[%clk {seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}]")
        if ply % 2 == 0:
            words.append(f"{ply // 2 + 1}.")
        elif words[-1] == "}":
            words.append(f"{ply // 2 + 1}...")
        words.append(san + mark)
        if ply in played.offers:
            words += ["{", f"{played.offers[ply].title()} offers draw", "}"]
        if notes:
            words += ["{", *notes, "}"]
    return " ".join(words)


def damaged(text: str) -> str:
    """Return a game cut off inside a comment, as a broken transfer leaves it."""
    return text[: text.rindex("[%clk", 0, len(text) * 2 // 3) + 8] + "\n\n"


def parallel_zstd(text: bytes) -> bytes:
    """Compress as pzstd does: independent frames, each after a skippable frame of 12 bytes that holds its size."""
    packed = io.BytesIO()
    for start in range(0, len(text), FRAME_BYTES):
        frame = zstandard.ZstdCompressor(level=LEVEL).compress(text[start : start + FRAME_BYTES])
        packed.write(SKIPPABLE.to_bytes(4, "little") + (4).to_bytes(4, "little") + len(frame).to_bytes(4, "little"))
        packed.write(frame)
    return packed.getvalue()


def write_dumps(games: list[Game], people: dict[str, Player], out: Path) -> Counter[str]:
    """Write the monthly dumps of rated standard games, their checksums and their numbers of games."""
    sums: list[str] = []
    counts: list[str] = []
    facts = Counter[str]()
    for month in DUMP_MONTHS:
        until = datetime.fromisoformat(f"{month}-01T00:00:00+00:00")
        until_ms = int(until.replace(month=until.month + 1).timestamp() * 1000)
        chosen = [
            g for g in games
            if g.month == month and g.plan.rated and g.plan.variant == "standard" and g.played.status != "aborted"
        ]  # fmt: skip
        texts = [pgn(game, people, until_ms) for game in chosen]
        facts[f"games in the dump of {month}"] = len(texts)
        facts[f"of these in no export ({month})"] = sum(g.plan.dump_only for g in chosen)
        if month == DUMP_MONTHS[-1]:
            long_ones = [k for k, g in enumerate(chosen) if g.plan.dump_only and len(g.played.clocks) > LONG_ENOUGH]
            hurt = long_ones[len(long_ones) // 2]
            texts[hurt] = damaged(texts[hurt])
        packed = parallel_zstd("".join(texts).encode())
        name = DUMP_NAME.format(month=month)
        (out / name).write_bytes(packed)
        sums.insert(0, f"{hashlib.sha256(packed).hexdigest()}  {name}\n")
        counts.insert(0, f"{name} {len(texts)}\n")
    (out / "sha256sums.txt").write_text("".join(sums))
    (out / "counts.txt").write_text("".join(counts))
    return facts
