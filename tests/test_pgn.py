"""The dump parser on texts made here: what it must understand, what it must refuse, and that nothing is lost."""

import json
import subprocess
import sys
from collections.abc import Iterator
from textwrap import dedent
from typing import Any

import pytest

from kshift_assets.chess.pgn import read_games
from kshift_assets.chess.source_schemas import DumpGames
from kshift_assets.tables import polars_schema
from resources.dumps import DumpDamaged

Row = dict[str, Any]

TAGS = {
    "Event": "Rated Blitz game",
    "Site": "https://lichess.org/AbCd1234",
    "Date": "2024.05.01",
    "White": "north",
    "Black": "south",
    "Result": "1-0",
    "UTCDate": "2024.05.01",
    "UTCTime": "00:00:01",
    "WhiteElo": "1500",
    "BlackElo": "1501",
    "TimeControl": "180+2",
    "Termination": "Normal",
}


def pgn(movetext: str, **tags: str) -> str:
    """A game as dumps lay it out; a tag given as "" is left out."""
    merged = {tag: value for tag, value in (TAGS | tags).items() if value}
    return "".join(f'[{tag} "{value}"]\n' for tag, value in merged.items()) + f"\n{movetext}\n\n"


def rows_of(text: str | bytes) -> list[Row]:
    data = text.encode() if isinstance(text, str) else text
    return [row for frame in read_games([data]) for row in frame.iter_rows(named=True)]


def read(movetext: str, **tags: str) -> Row:
    (row,) = rows_of(pgn(movetext, **tags))
    return row


def test_a_game_as_dumps_write_it_becomes_one_row() -> None:
    row = read(
        "1. e4 { [%eval 0.33] [%clk 0:03:00] } 1... e5?! { [%eval #-3] [%clk 0:02:59] } 2. Qh5+ { [%clk 1:00:07] } 1-0",
        ECO="C20",
        Opening="King's Pawn Game",
        WhiteTitle="GM",
    )
    assert row["id_game"] == "AbCd1234"
    assert (row["val_eco"], row["val_opening"], row["val_white_title"]) == ("C20", "King's Pawn Game", "GM")
    assert (row["val_utc_date"], row["val_time_control"], row["val_result"]) == ("2024.05.01", "180+2", "1-0")
    assert (row["n_plies"], row["val_moves"]) == (3, "e4 e5 Qh5+")
    assert row["arr_clock_cs"] == [18000, 17900, 360700]
    assert row["arr_eval_cp"] == [33, None, None]
    assert row["arr_eval_mate"] == [None, -3, None]
    assert row["arr_glyph"] == [None, "?!", None]
    assert [row[name] for name in ("arr_draw_offer", "arr_comment", "val_tags_other", "val_error", "val_text")] == [
        None
    ] * 5


def test_frames_have_the_columns_and_types_of_the_table() -> None:
    (frame,) = read_games([pgn("1. e4 1-0").encode()])
    by_caller = {"val_file", "val_file_sha256", "tm_ingested", "dt_month"}
    wanted = {name: dtype for name, dtype in polars_schema(DumpGames).items() if name not in by_caller}
    assert list(frame.schema.items()) == list(wanted.items())


def test_frames_hold_as_many_games_as_asked_for_and_count_on() -> None:
    frames = list(read_games([pgn("1. e4 1-0").encode() * 7], rows_per_batch=3))
    assert [frame.get_column("n_game").to_list() for frame in frames] == [[1, 2, 3], [4, 5, 6], [7]]


def test_an_empty_file_has_no_games() -> None:
    assert rows_of("") == rows_of("\n\n\n") == rows_of("\ufeff") == []


@pytest.mark.parametrize(
    ("annotation", "centiseconds", "left_over"),
    [
        ("[%clk 0:03:00]", 18000, None),
        ("[%clk 336:00:00]", 120960000, None),
        ("[%clk 0:00:05.3]", 530, None),
        ("[%clk 0:00:05.07]", 507, None),
        ("[%clk 0:00:05.349]", 534, "[%clk 0:00:05.349]"),  # finer than the column: kept as written too
        ("[%clk 0:00:-3]", None, "[%clk 0:00:-3]"),
        ("[%clk 9999999:00:00]", None, "[%clk 9999999:00:00]"),
        ("[%clk soon]", None, "[%clk soon]"),
        ("[%clk 0:00:01] [%clk 0:00:02]", 100, "[%clk 0:00:02]"),
    ],
)
def test_clocks_are_centiseconds_and_what_is_no_clock_stays_text(
    annotation: str, centiseconds: int | None, left_over: str | None
) -> None:
    row = read(f"1. e4 {{ {annotation} }} e5 1-0")
    assert row["arr_clock_cs"] == (None if centiseconds is None else [centiseconds, None])
    assert row["arr_comment"] == (None if left_over is None else [left_over, None])
    assert row["val_error"] is None


@pytest.mark.parametrize(
    ("annotation", "centipawns", "mate", "left_over"),
    [
        ("0.29", 29, None, None),  # 0.29 * 100 is 28.999999999999996 in binary
        ("-0.07", -7, None, None),
        ("1.4", 140, None, None),
        ("0.0", 0, None, None),
        ("-0.0", 0, None, None),
        ("+2", 200, None, None),
        ("152.65", 15265, None, None),
        (".5", 50, None, None),
        ("#3", None, 3, None),
        ("#-12", None, -12, None),
        ("#+1", None, 1, None),
        ("#0", None, 0, None),
        ("#-0", None, 0, "[%eval #-0]"),  # who is mated would be lost
        ("0.25,18", 25, None, "[%eval 0.25,18]"),  # the depth has no column
        ("#4,30", None, 4, "[%eval #4,30]"),
        ("0.125", None, None, "[%eval 0.125]"),
        ("0.120", 12, None, None),
        ("#99999", None, None, "[%eval #99999]"),
        ("-", None, None, "[%eval -]"),
    ],
)
def test_evaluations_are_exact_centipawns_or_mates(
    annotation: str, centipawns: int | None, mate: int | None, left_over: str | None
) -> None:
    row = read(f"1. e4 {{ [%eval {annotation}] }} e5 1-0")
    assert row["arr_eval_cp"] == (None if centipawns is None else [centipawns, None])
    assert row["arr_eval_mate"] == (None if mate is None else [mate, None])
    assert row["arr_comment"] == (None if left_over is None else [left_over, None])


@pytest.mark.parametrize(
    ("written", "glyph"),
    [
        *[("e4!", "!"), ("e4?", "?"), ("e4!!", "!!"), ("e4??", "??"), ("e4!?", "!?"), ("e4?!", "?!")],
        *[("e4 $1", "!"), ("e4 $2", "?"), ("e4 $3", "!!"), ("e4 $4", "??"), ("e4 $5", "!?"), ("e4 $6", "?!")],
        *[("e4 !?", "!?"), ("e4$6", "?!")],
    ],
)
def test_glyphs_are_read_as_signs_and_as_numbers(written: str, glyph: str) -> None:
    row = read(f"1. {written} e5 1-0")
    assert (row["val_moves"], row["arr_glyph"], row["arr_comment"]) == ("e4 e5", [glyph, None], None)


def test_further_glyphs_stay_as_text() -> None:
    row = read("1. e4! $14 $4 { good } e5 $10 1-0")
    assert row["arr_glyph"] == ["!", None]
    assert row["arr_comment"] == ["$14 $4 good", "$10"]


@pytest.mark.parametrize("other", ["", "{ what a pity } "])
def test_a_draw_offer_is_a_comment_of_its_own_before_the_annotations(other: str) -> None:
    row = read(
        f"1. e4 {{ White offers draw }} {{ [%eval 0.3] [%clk 0:01:00] }} 1... e5 {other}"
        "2. Nf3 { [%clk 0:00:59] } 2... Nf6 { Black offers draw } { [%clk 0:00:58] } 1-0"
    )
    assert row["arr_draw_offer"] == ["white", None, None, "black"]
    assert row["arr_clock_cs"] == [6000, None, 5900, 5800]
    assert row["arr_eval_cp"] == [30, None, None, None]
    assert row["arr_comment"] == ([None, "what a pity", None, None] if other else None)


def test_comments_keep_what_is_no_annotation() -> None:
    row = read(
        "{ A story. } 1. e4 {first} { second [%clk 0:01:00] third } ( 1. d4 { a ) and a { brace } d5 (1... Nf6) ) "
        "1... e5 ; to the end of the line\n2. Nf3 { [%csl Gf3] } 1-0 { White wins. }"
    )
    assert row["val_moves"] == "e4 e5 Nf3"
    assert row["arr_clock_cs"] == [6000, None, None]
    assert row["arr_comment"] == [
        "first second third ( 1. d4 { a ) and a { brace } d5 (1... Nf6) )",
        "to the end of the line",
        "[%csl Gf3] White wins.",
    ]
    assert json.loads(row["val_tags_other"]) == {"{}": "A story."}


def test_unknown_tags_are_kept_in_their_order() -> None:
    row = read("1. e4 1-0", Zeta="1", Alpha="2", SetUp="1", FEN="8/8/8/8/8/8/8/8 w - - 0 1")
    assert list(json.loads(row["val_tags_other"]).items()) == [("Zeta", "1"), ("Alpha", "2"), ("SetUp", "1")]
    assert row["val_fen"] == "8/8/8/8/8/8/8/8 w - - 0 1"


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (r"The \"Big\" Cup", 'The "Big" Cup'),
        (r"C:\\games", r"C:\games"),
        (r"ends with \\", "ends with \\"),
        (r"C:\games", r"C:\games"),  # an older exporter did not escape
        ('The "Big" Cup', 'The "Big" Cup'),
        ("ends with \\", "ends with \\"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("line\u2028separator\u0085", "line\u2028separator\u0085"),
        ("", ""),
    ],
)
def test_tag_values_come_out_as_they_were_meant(written: str, value: str) -> None:
    text = pgn("1. e4 1-0").replace("Rated Blitz game", written)
    (row,) = rows_of(text)
    assert (row["val_event"], row["val_error"]) == (value, None)


@pytest.mark.parametrize(
    ("tags", "id_game"),
    [
        ({"Site": "https://lichess.org/AbCd1234"}, "AbCd1234"),
        ({"Site": "http://lichess.org/AbCd1234"}, "AbCd1234"),
        ({"Site": "https://lichess.org/AbCd1234/black"}, "AbCd1234"),
        ({"Site": "?", "GameId": "ZyXw9876"}, "ZyXw9876"),
    ],
)
def test_the_game_id_comes_from_game_id_or_site(tags: dict[str, str], id_game: str) -> None:
    row = read("1. e4 1-0", **tags)
    assert (row["id_game"], row["val_error"]) == (id_game, None)


@pytest.mark.parametrize("site", ["https://lichess.org/broadcast", "https://example.org/AbCd1234", "Vienna", ""])
def test_a_game_without_an_id_is_read_and_marked(site: str) -> None:
    row = read("1. e4 { [%clk 0:01:00] } 1-0", Site=site)
    assert (row["id_game"], row["val_error"]) == (None, "no game id in Site or GameId")
    assert (row["val_moves"], row["arr_clock_cs"], row["val_white"]) == ("e4", [6000], "north")
    assert row["val_text"] == pgn("1. e4 { [%clk 0:01:00] } 1-0", Site=site).strip()


@pytest.mark.parametrize("result", ["1-0", "0-1", "1/2-1/2", "*"])
@pytest.mark.parametrize("before", ["", " "])
def test_a_game_without_moves_has_no_plies(result: str, before: str) -> None:
    row = read(before + result, Result=result)
    assert (row["n_plies"], row["val_moves"], row["val_result"], row["val_error"]) == (0, "", result, None)
    assert row["arr_clock_cs"] is None


def test_moves_are_kept_as_written() -> None:
    sans = "e4 Nxf3+ R1xa2# O-O O-O-O e8=Q+ bxa1=N N@f3 P@e4 @e5 axb8=K e4xd5 Ng1-f3 0-0 0-0-0 e8Q Z0 -- dxe6++"
    assert read(f"{sans} 1-0")["val_moves"] == sans


ODD_LAYOUTS = {
    "Windows line ends": lambda text: text.replace("\n", "\r\n"),
    "a byte-order mark": lambda text: "\ufeff" + text,
    "tags on one line": lambda text: text.replace("]\n", "] ", 5),
    "tags before Event": lambda text: text.replace('[Event "Rated Blitz game"]\n', "").replace(
        "[Date", '[Event "Rated Blitz game"]\n[Date'
    ),
    "a blank line between tags": lambda text: text.replace("[Date", "\n[Date"),
    "two blank lines between tags": lambda text: text.replace("[Date", "\n\n[Date"),
    "no blank line before the moves": lambda text: text.replace("\n\n1.", "\n1."),
    "blank lines before the moves": lambda text: text.replace("\n\n1.", "\n\n\n\n1."),
    "indented": lambda text: "  " + text.replace("\n", "\n  "),
    "one move a line": lambda text: text.replace("} ", "}\n"),
    "a blank line between moves": lambda text: text.replace("} 2.", "}\n\n2."),
    "numbers without blanks": lambda text: text.replace(". e4", ".e4").replace("... e5", "...e5"),
    "no numbers for Black": lambda text: text.replace("1... ", ""),
    "private lines": lambda text: "% one\n" + text.replace("\n\n", "\n% two\n\n% three\n", 1),
    "blanks at line ends": lambda text: text.replace("]\n", "]  \n"),
    "tabs": lambda text: text.replace(' "', '\t"').replace("} ", "}\t"),
    "no line end at the end": lambda text: text.rstrip(),
}


@pytest.mark.parametrize("layout", ODD_LAYOUTS)
def test_odd_layouts_hold_the_same_games(layout: str) -> None:
    movetext = "1. e4 { [%clk 0:01:00] } 1... e5 { [%clk 0:00:59] } 2. Nf3 { [%clk 0:00:58] } 1-0"
    texts = [pgn(movetext, Site=f"https://lichess.org/AbCd123{number}") for number in range(3)]
    assert rows_of("".join(map(ODD_LAYOUTS[layout], texts))) == rows_of("".join(texts))


def test_names_that_are_not_utf_8_are_latin_1() -> None:
    text = pgn("1. e4 { très bien } 1-0", White="Müller", Black="Łoś")
    data = text.encode().replace("Müller".encode(), "Müller".encode("latin-1"))
    (row,) = rows_of(data)
    assert (row["val_white"], row["val_black"], row["arr_comment"]) == ("Müller", "Łoś", ["très bien"])
    assert row["val_error"] is None


GOOD = pgn("1. e4 { [%clk 0:01:00] } 1... e5 { [%clk 0:00:59] } 1-0", Site="https://lichess.org/GoodGame")
DAMAGED = {
    "a comment is never closed": pgn("1. e4 { [%clk 0:01:00] 1... e5 1-0"),
    "a variation is never closed": pgn("1. e4 (1. d4 d5 1... e5 1-0"),
    "the movetext ends without a result": pgn("1. e4 e5 2. Nf3"),
    "'Xf3' is not a move": pgn("1. e4 e5 2. Xf3 1-0"),
    "'Nf9' is not a move": pgn("1. e4 e5 2. Nf9 1-0"),
    "'}' is not a move": pgn("1. e4 } e5 1-0"),
    "')' is not a move": pgn("1. e4 ) e5 1-0"),
    "'1/2' is not a move": pgn("1. e4 1/2", Result="1/2-1/2"),
    "the movetext ends with 0-1, but tag Result says 1-0": pgn("1. e4 0-1"),
    "something follows the result": pgn("1. e4 1-0 e5"),
    'a broken tag line: [White "nor': pgn("1. e4 1-0").replace('[White "north"]', '[White "nor'),
    "tag White stands twice, with different values": pgn("1. e4 1-0").replace(
        "[Black", '[White "somebody else"]\n[Black'
    ),
    "no movetext": pgn(""),
    "no tag Result": pgn("1. e4 1-0", Result=""),
}


@pytest.mark.parametrize("reason", DAMAGED)
def test_a_damaged_game_does_not_stop_the_file(reason: str) -> None:
    (sound,) = rows_of(GOOD)
    before, damaged, after = rows_of(GOOD + DAMAGED[reason] + GOOD)
    assert before == sound
    assert after == {**sound, "n_game": 3}
    assert damaged["val_error"] == reason
    assert damaged["val_text"] == DAMAGED[reason].strip("\n")
    assert (damaged["n_game"], damaged["id_game"], damaged["val_black"]) == (2, "AbCd1234", "south")


@pytest.mark.parametrize("reason", ["a comment is never closed", "'Xf3' is not a move", "something follows the result"])
def test_moves_that_cannot_be_trusted_are_not_handed_out(reason: str) -> None:
    (row,) = rows_of(DAMAGED[reason])
    assert row["n_plies"] is row["val_moves"] is row["arr_clock_cs"] is None


def test_moves_before_a_cut_are_handed_out() -> None:
    row = read("1. e4 { [%clk 0:01:00] } 1... e5")
    assert (row["val_moves"], row["arr_clock_cs"]) == ("e4 e5", [6000, None])


def test_a_game_cut_within_its_tags_does_not_swallow_the_next() -> None:
    first, second, third = rows_of(GOOD + GOOD[:60] + "\n" + GOOD)
    assert second["val_text"] == GOOD[:60]
    assert first["val_error"] is third["val_error"] is None


def test_tags_behind_a_damaged_line_go_to_no_other_game_whatever_blanks_stand_behind_them() -> None:
    for blanks in ("\n\n", "\n\n ", "\n \t", "\n\n\r"):
        rows = rows_of(f'{GOOD}[Event "Casual game"]\nSite "x"]\n[Result "*"]{blanks}\n{GOOD}')
        assert [row["val_error"] is None for row in rows] == [True, False, False, True]


def test_tags_that_are_given_twice_alike_are_given_once() -> None:
    (row,) = rows_of(pgn("1. e4 1-0").replace("[Black", '[White "north"]\n[Black'))
    assert (row["val_white"], row["val_error"]) == ("north", None)


def test_damage_that_the_file_reports_comes_after_its_last_readable_game() -> None:
    def chunks() -> Iterator[bytes]:
        yield (GOOD + GOOD[:-12]).encode()
        raise DumpDamaged("the file is cut off")

    frames = read_games(chunks())
    rows = next(frames).to_dicts()
    assert rows[0] == rows_of(GOOD)[0]
    assert rows[1]["val_error"] == "a comment is never closed; the file is damaged here"
    with pytest.raises(DumpDamaged, match="the file is cut off"):
        next(frames)


def test_a_game_longer_than_4_mib_is_damaged_and_the_next_ones_are_not() -> None:
    text = pgn("1. e4 { " + "x" * (5 << 20) + " } 1-0")
    first, second, third = rows_of(GOOD + text + GOOD)
    assert second["val_error"] == f"longer than 4,194,304 bytes: {len(text) - 1:,}, of which the first 65,536 are kept"
    assert text.startswith(second["val_text"])
    assert len(second["val_text"]) == 65_536
    assert (second["id_game"], second["val_white"], second["n_plies"]) == ("AbCd1234", "north", None)
    assert first["val_error"] is third["val_error"] is None


def test_a_long_file_without_event_tags_is_read_game_by_game() -> None:
    text = pgn("1. e4 { " + "x" * 100_000 + " } 1-0", Event="")
    rows = rows_of(text * 60)
    assert [row["n_game"] for row in rows] == list(range(1, 61))
    assert {(row["id_game"], row["val_moves"], row["val_error"]) for row in rows} == {("AbCd1234", "e4", None)}


MEMORY = dedent(
    """
    import resource, sys
    from kshift_assets.chess.pgn import read_games
    game = {game!r}.encode()
    def run(chunks):
        n_rows = sum(frame.height for frame in read_games(chunks, rows_per_batch=2_000))
        return n_rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(*run(game * 100 for _ in range(30)))
    print(*run(game * 100 for _ in range(120)))
    print(*run(part for part in [game, b'[Event "long"]\\n\\n', *[b"x" * (1 << 20)] * 1024, b"\\n\\n" + game]))
    """
)


def test_memory_stays_flat_for_long_files_and_for_a_line_of_a_gigabyte() -> None:
    plies = " ".join(f"{n}. Nf3 {{ [%clk 0:01:00] }} {n}... Nf6 {{ [%clk 0:01:00] }}" for n in range(1, 31))
    code = MEMORY.format(game=pgn(f"{plies} 1-0"))
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    (n_few, few), (n_many, many), (n_long, long) = [
        (int(rows), float(peak)) for rows, peak in (line.split() for line in done.stdout.splitlines())
    ]
    assert (n_few, n_many, n_long) == (3_000, 12_000, 3)
    assert many - few < 40, done.stdout
    assert long - many < 40, done.stdout
