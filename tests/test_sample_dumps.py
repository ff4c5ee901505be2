"""The sample's monthly dumps: in the exporter's shape, and the same games as the export?"""

import hashlib
import itertools
import math
import re

import pytest
import zstandard
from sample_files import BY_ID, DUMPED, DUMPS, GAMES, MONTHS, SAMPLE, unpacked, utc

MOVE = re.compile(r"(?:\d+\.+ )?([^\s{}.?!]+)([?!]{0,2})((?: \{[^}]*\})*) ")


def test_checksums_and_counts_are_those_of_the_files():
    assert [path.name[-15:-8] for path in DUMPS] == list(MONTHS)
    told = dict(line.split("  ")[::-1] for line in (SAMPLE / "sha256sums.txt").read_text().splitlines())
    assert told == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in DUMPS}
    counts = dict(line.split() for line in (SAMPLE / "counts.txt").read_text().splitlines())
    assert {name: int(n) for name, n in counts.items()} == {
        path.name: unpacked(path).count('[Event "') for path in DUMPS
    }


@pytest.mark.parametrize("path", DUMPS, ids=MONTHS)
def test_a_dump_is_packed_in_frames_each_after_its_size(path):
    packed, at, sizes = path.read_bytes(), 0, []
    while at < len(packed):
        magic, length, size = (int.from_bytes(packed[at + k : at + k + 4], "little") for k in (0, 4, 8))
        assert (magic, length) == (0x184D2A50, 4)
        frame = packed[at + 12 : at + 12 + size]
        assert zstandard.ZstdDecompressor().decompress(frame)
        sizes.append(size)
        at += 12 + size
    assert at == len(packed)
    assert len(sizes) >= 4


@pytest.mark.parametrize("month", MONTHS)
def test_a_dump_has_the_rated_standard_games_of_its_month_and_some_more(month):
    ids = [tags["Site"][-8:] for tags, _ in DUMPED[month]]
    exported = {
        game["id"]
        for game in GAMES
        if game["rated"]
        and game["variant"] == "standard"
        and game["status"] != "aborted"
        and f"{utc(game['createdAt']):%Y-%m}" == month
    }
    assert len(ids) == len(set(ids))
    assert exported <= set(ids)
    assert len(exported) >= 200
    assert 140 <= len(set(ids) - exported) <= 170
    assert not set(BY_ID) & (set(ids) - exported)


def test_one_game_of_the_dumps_is_damaged_and_no_export_repairs_it():
    damaged = [
        (tags, text) for games in DUMPED.values() for tags, text in games if not text.endswith(f" {tags['Result']}")
    ]
    assert len(damaged) == 1
    assert damaged[0][0]["Site"][-8:] not in BY_ID
    assert damaged[0][1].count("{") == damaged[0][1].count("}") + 1


def test_unfinished_correspondence_is_in_the_dumps_without_its_last_moves():
    unfinished = [(tags, text) for games in DUMPED.values() for tags, text in games if tags["Result"] == "*"]
    assert {tags["Termination"] for tags, _ in unfinished} == {"Unterminated"}
    assert {tags["TimeControl"] for tags, _ in unfinished} == {"-"}
    later = [BY_ID[tags["Site"][-8:]] for tags, _ in unfinished if tags["Site"][-8:] in BY_ID]
    assert len(later) >= 3
    assert len(later) < len(unfinished)
    for game in later:
        assert game["status"] != "started"


def test_some_moves_carry_a_draw_offer_besides_their_clock():
    offers = re.findall(r"\{ (White|Black) offers draw \} \{ \[%", "".join(map(unpacked, DUMPS)))
    assert len(offers) >= 5
    assert set(offers) == {"White", "Black"}


def test_a_game_in_both_is_the_same_in_both():
    n_compared = n_glyphs = 0
    for tags, text in itertools.chain(*DUMPED.values()):
        game = BY_ID.get(tags["Site"][-8:])
        if game is None:
            continue
        n_compared += 1
        found = MOVE.findall(text)
        sans = game["moves"].split()
        assert tags["UTCDate"] + " " + tags["UTCTime"] == f"{utc(game['createdAt']):%Y.%m.%d %H:%M:%S}"
        opening = game.get("opening", {"eco": "?", "name": "?"})
        assert (tags["ECO"], tags["Opening"]) == (opening["eco"], opening["name"])
        for side, player in game["players"].items():
            assert tags[side.title()] == player["user"]["name"]
            assert tags[f"{side.title()}Elo"] == str(player["rating"])
            assert tags.get(f"{side.title()}Title") == player["user"].get("title")
        if tags["Result"] == "*":
            assert [move[0] for move in found] == sans[: len(found)]
            assert len(found) < len(sans)
            continue
        assert [move[0] for move in found] == sans
        assert tags["Result"] == {"white": "1-0", "black": "0-1", None: "1/2-1/2"}[game.get("winner")]
        diffs = [f"{s['ratingDiff']:+d}" if "ratingDiff" in s else None for s in game["players"].values()]
        assert [tags.get("WhiteRatingDiff"), tags.get("BlackRatingDiff")] == diffs
        for ply, (_, glyph, comments) in enumerate(found):
            if "clocks" in game:
                hours, minutes, seconds = map(int, re.search(r"%clk (\d+):(\d+):(\d+)", comments).groups())
                assert 3600 * hours + 60 * minutes + seconds == math.floor(game["clocks"][ply] / 100 + 0.5)
            entry = game["analysis"][ply] if ply < len(game.get("analysis", ())) else {}
            told = re.search(r"%eval (#?)([-.\d]+)", comments)
            assert (told is None) == (not entry)
            if told:
                assert told[2] == str(entry["mate"] if told[1] else entry["eval"] / 100)
            assert bool(glyph) == ("best" in entry)
            n_glyphs += bool(glyph)
    assert n_compared >= 500
    assert n_glyphs >= 500
