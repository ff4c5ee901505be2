"""How the games of the sample are played: moves by Stockfish at every strength, clocks and manners by dice.

Everything depends on the plan's number alone, so that games can be played in any order and by several processes.
"""

# ruff: noqa: PLR2004 - habits and odds are numbers, and stand where they count

import math
from dataclasses import dataclass, field

import chess
import chess.engine
import judging
from openings import opening_positions
from world import Plan, Player, dice, happens

ENGINE = "/usr/games/stockfish"
ANALYSIS_NODES = 20_000
ATTEMPTS = 40
DAY_MS = 86_400_000
PIECES_CP = {chess.PAWN: 100, chess.KNIGHT: 300, chess.BISHOP: 320, chess.ROOK: 500, chess.QUEEN: 900, chess.KING: 0}
WITHOUT_ENGINE = ("antichess", "threeCheck", "kingOfTheHill", "crazyhouse", "atomic", "horde", "racingKings")
SPARE_TIME = ("stalemate", "repetition", "fifty", "insufficient")  # these endings must not be cut short by a flag
LONGEST = 300


@dataclass(slots=True)
class Played:
    """A game after it was played: what the site would know of it, ratings and dates apart."""

    moves: list[str] = field(default_factory=list)
    clocks: list[int] = field(default_factory=list)
    ply_ms: list[int] = field(default_factory=list)  # since the creation of the game
    offers: dict[int, str] = field(default_factory=dict)  # ply index → who offers a draw
    status: str = "started"
    winner: str | None = None
    how: str = ""  # what ended it, finer than the status
    duration_ms: int = 0
    analysis: list[judging.Entry] | None = None
    summary: dict[str, dict[str, int]] | None = None
    opening: dict[str, str | int] | None = None
    division: dict[str, int] = field(default_factory=dict)


def play_batch(plans: list[Plan], people: dict[str, Player]) -> list[Played]:
    """Play some games with one engine of one thread; the engine forgets everything between games."""
    with chess.engine.SimpleEngine.popen_uci(ENGINE) as engine:
        engine.configure({"Threads": 1, "Hash": 16})
        return [_finish(plan, _play(plan, people, engine), engine) for plan in plans]


def _play(plan: Plan, people: dict[str, Player], engine: chess.engine.SimpleEngine) -> Played:
    """Play a game until it ends as planned; most are content with any ending."""
    for attempt in range(ATTEMPTS):
        played = _Game(plan, people, engine, attempt).run()
        if plan.ending == played.how or (plan.ending == "any" and played.how != "blocked"):
            return played
    return played  # a rare ending that did not come about: the game counts as it is


def _finish(plan: Plan, played: Played, engine: chess.engine.SimpleEngine) -> Played:
    """Add what the site computes afterwards: opening, phases and, where planned, the engine's analysis."""
    board = plan.board()
    boards = [board.copy(stack=False)]
    for san in played.moves:
        board.push_san(san)
        boards.append(board.copy(stack=False))
    if plan.variant in ("standard", "threeCheck", "kingOfTheHill"):
        table = opening_positions()
        for ply, position in enumerate(boards[:41]):
            epd = chess.Board.epd(position)  # of the pieces alone: three-check adds its counters
            if epd in table:
                eco, name = table[epd]
                played.opening = {"eco": eco, "name": name, "ply": ply}
    if plan.variant in ("standard", "chess960", "fromPosition"):
        played.division = judging.division(boards)
    if plan.analysed and len(played.moves) > 12:
        played.analysis = _analyse(plan, boards, played.moves, engine)
        played.summary = judging.summary(played.analysis)
    return played


def _analyse(
    plan: Plan, boards: list[chess.Board], moves: list[str], engine: chess.engine.SimpleEngine
) -> list[judging.Entry]:
    """Evaluate every position after a ply, except a final mate, and judge the moves by the engine's preferences."""
    limit = chess.engine.Limit(nodes=ANALYSIS_NODES)
    wanted = chess.engine.INFO_SCORE | chess.engine.INFO_PV
    positions = []
    for board in boards:
        if not any(board.legal_moves):
            positions.append(judging.Position(cp=0, mate=None, pv=()))
            continue
        info = engine.analyse(board, limit, game=("analysis", plan.n), info=wanted)
        score = info["score"].white()
        positions.append(judging.Position(cp=score.score(), mate=score.mate(), pv=tuple(info.get("pv", ()))))
    if boards[-1].is_checkmate():
        positions.pop()
    return judging.entries(positions, boards, moves, older=plan.n % 12 == 0)


class _Game:
    """One game in progress."""

    def __init__(self, plan: Plan, people: dict[str, Player], engine: chess.engine.SimpleEngine, attempt: int) -> None:
        self.plan = plan
        self.engine = engine
        self.rng = dice("game", plan.n, attempt)
        self.board = plan.board()
        self.sides = {chess.WHITE: people.get(plan.white or ""), chess.BLACK: people.get(plan.black or "")}
        self.played = Played()
        self.initial_cs = (plan.initial_s or 0) * 100
        self.berserk = {
            color: plan.tournament is not None and plan.ending == "any" and happens(self.rng, 0.12)
            for color in chess.COLORS
        }
        self.left_cs = {c: self.initial_cs // (2 if self.berserk[c] else 1) + 3 for c in chess.COLORS}
        self.hopeless = dict.fromkeys(chess.COLORS, 0)
        self.quiet = 0
        leaves_at = self.rng.choice((1, 2, self.rng.randrange(3, 25), self.rng.randrange(25, 60)))
        self.leaves_at = leaves_at if plan.ending == "timeout" else None
        self.key = ("game", plan.n, attempt)

    def run(self) -> Played:
        if self.plan.ending in ("aborted", "noStart"):
            return self._never_begun()
        while self.played.status == "started":
            self._turn()
        return self.played

    # -- endings -------------------------------------------------------------------------------------------------

    def _end(self, status: str, winner: chess.Color | None, how: str, clock_cs: int | None = None) -> None:
        """Close the game; a clock given is the one of the side to move, which the site appends."""
        self.played.status, self.played.how = status, how
        self.played.winner = None if winner is None else chess.COLOR_NAMES[winner]
        if clock_cs is not None and self.plan.initial_s is not None:
            self.played.clocks.append(clock_cs)
        if self.plan.initial_s is None:
            self.played.clocks = []

    def _never_begun(self) -> Played:
        if self.plan.ending == "noStart":
            self._end("noStart", self.rng.choice(chess.COLORS), "noStart")
            return self.played
        if happens(self.rng, 0.5):
            self._push(self._book_or_engine(), 0)
        self.played.duration_ms += 15_000
        self._end("aborted", None, "aborted")
        return self.played

    def _over_on_board(self) -> bool:
        outcome = self.board.outcome()
        if outcome is None:
            return False
        statuses = {
            chess.Termination.CHECKMATE: ("mate", "mate"),
            chess.Termination.STALEMATE: ("stalemate", "stalemate"),
            chess.Termination.INSUFFICIENT_MATERIAL: ("draw", "insufficient"),
            chess.Termination.FIVEFOLD_REPETITION: ("draw", "repetition"),
            chess.Termination.SEVENTYFIVE_MOVES: ("draw", "fifty"),
        }
        status, how = statuses.get(outcome.termination, ("variantEnd", "variantEnd"))
        if self.board.is_checkmate():  # the third check may be a mate as well: mate comes first (scalachess)
            status, how = statuses[chess.Termination.CHECKMATE]
        if self.plan.variant == "antichess" and self.board.occupied_co[self.board.turn]:
            how = "blocked"  # won by having no move with pieces left: sources differ on its status, so play another
        self._end(status, outcome.winner, how)
        return True

    def _given_up(self, best_cp: int) -> bool:
        """Resign, claim or agree a draw, leave, or run out of patience; asked of the side to move."""
        turn, plies, ending = self.board.turn, len(self.played.moves), self.plan.ending
        clock = self.left_cs[turn]
        if ending in ("flag_draw", "timeout_draw") and self.board.has_insufficient_material(not turn):
            status = "outoftime" if ending == "flag_draw" else "timeout"
            self.played.duration_ms += clock * 10
            self._end(status, None, ending, 0 if ending == "flag_draw" else clock)
        elif self.board.is_repetition(3) and best_cp < 60 and ending in ("any", "repetition"):
            self._end("draw", None, "repetition", clock)
        elif self.board.halfmove_clock >= 100:
            self._end("draw", None, "fifty", clock)
        elif plies >= LONGEST:
            self._end("draw", None, "agreement", clock)
        elif ending == "any" and self._resigns(best_cp):
            self._end("resign", not turn, "resign", clock)
        elif ending == "any" and self._agrees(best_cp):
            self._end("draw", None, "agreement", clock)
        return self.played.status != "started"

    def _resigns(self, best_cp: int) -> bool:
        turn, side = self.board.turn, self.sides[self.board.turn]
        threshold = side.resigns_at_cp if side else 900
        self.hopeless[turn] = self.hopeless[turn] + 1 if best_cp < -threshold else 0
        tired = self.plan.variant in WITHOUT_ENGINE and len(self.played.moves) > 40 and happens(self.rng, 0.02)
        return tired or (self.hopeless[turn] > 1 and happens(self.rng, 0.35))

    def _agrees(self, best_cp: int) -> bool:
        """Offer a draw in a dull position; the offer of the ply before may be accepted."""
        plies = len(self.played.moves)
        self.quiet = self.quiet + 1 if abs(best_cp) < 35 else 0
        dull = plies > 60 and self.quiet > 10
        return dull and plies - 1 in self.played.offers and happens(self.rng, 0.4)

    # -- one move ------------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        plies = len(self.played.moves)
        if plies == self.leaves_at:
            clock = self.left_cs[self.board.turn]
            self.played.duration_ms += min(clock * 10, 150_000)
            self._end("timeout", not self.board.turn, "timeout", clock)
            return
        if plies < len(self.plan.book):
            move, best_cp = self._book_or_engine(), 0
        else:
            options = self._options()
            best_cp = options[0][1]
            if self._given_up(best_cp):
                return
            move = self._steered() or self._choose(options)
        think_cs = self._think(move)
        turn = self.board.turn
        if self.plan.initial_s is not None and think_cs >= self.left_cs[turn]:
            self.played.duration_ms += self.left_cs[turn] * 10
            unwinnable = self.board.has_insufficient_material(not turn)
            self._end("outoftime", None if unwinnable else not turn, "flag_draw" if unwinnable else "flag", 0)
            return
        if self.plan.days and think_cs * 10 >= self.plan.days * DAY_MS:
            self.played.duration_ms += self.plan.days * DAY_MS
            self._end("outoftime", not turn, "flag")
            return
        if plies > 60 and self.quiet > 8 and happens(self.rng, 0.12):
            self.played.offers[plies] = chess.COLOR_NAMES[turn]
        self._push(move, think_cs)
        self._over_on_board()

    def _push(self, move: chess.Move, think_cs: int) -> None:
        turn, plies = self.board.turn, len(self.played.moves)
        san = self.board.san(move)
        self.played.moves.append("P" + san if san.startswith("@") else san)
        self.board.push(move)
        if plies > 1:  # the clocks run from the third ply on, and increments come with them
            increment = 0 if self.berserk[turn] else self.plan.increment_s * 100
            self.left_cs[turn] += increment - think_cs
            self.played.duration_ms += think_cs * 10
        else:
            self.played.duration_ms += self.rng.randrange(600, 6000)
        self.played.clocks.append(self.left_cs[turn])
        self.played.ply_ms.append(self.played.duration_ms)

    def _think(self, move: chess.Move) -> int:
        """Return how long the move takes, centiseconds, by phase, position, habit and time trouble."""
        plies, turn = len(self.played.moves), self.board.turn
        if self.plan.initial_s is None:
            awake = happens(self.rng, 0.3)
            return int(360_000 * (self.rng.uniform(0.01, 0.5) if awake else self.rng.lognormvariate(1.6, 1.1)))
        if plies < 2:
            return 0
        side, left = self.sides[turn], self.left_cs[turn]
        start = self.initial_cs // (2 if self.berserk[turn] else 1)
        base = start / 38 + (0 if self.berserk[turn] else self.plan.increment_s * 80)
        phase = 0.25 if plies < 10 else 0.7 if plies < 20 else 1.35 if plies < 56 else 0.8
        spent = base * phase * self.rng.lognormvariate(-0.2, 0.75) * (side.pace if side else 0.6)
        if happens(self.rng, 0.05):
            spent *= self.rng.uniform(2, 5)
        if self.board.is_capture(move) and happens(self.rng, 0.4):
            spent *= 0.4
        if left < start * 0.15:
            spent = min(spent, left * self.rng.uniform(0.03, 0.12))
        if self.plan.ending in SPARE_TIME or self.plan.ending.endswith("_draw"):
            spent = min(spent, left * 0.02)
            return int(spent)
        return max(int(spent), int(self.rng.uniform(10, 30) + self.rng.expovariate(1 / 35)))

    def _book_or_engine(self) -> chess.Move:
        plies = len(self.played.moves)
        return self.board.parse_san(self.plan.book[plies]) if plies < len(self.plan.book) else self._options()[0][0]

    def _strength(self) -> int:
        if self.plan.ending in ("flag_draw", "timeout_draw", *SPARE_TIME):
            return 1000
        side = self.sides[self.board.turn]
        computer = self.plan.ai_level
        return side.strength if side else 700 + 230 * computer if computer else 1300

    def _options(self) -> list[tuple[chess.Move, int]]:
        """Return some moves with their value for the mover, centipawns, the best first."""
        if self.plan.variant in WITHOUT_ENGINE:
            return sorted(
                ((move, self._crude_value(move)) for move in self.board.legal_moves), key=lambda o: (-o[1], o[0].uci())
            )
        strength = self._strength()
        infos = self.engine.analyse(
            self.board,
            chess.engine.Limit(nodes=int(60 * 2 ** ((strength - 800) / 330))),
            multipv=6 if strength < 1200 else 5 if strength < 1600 else 4 if strength < 2000 else 2,
            game=self.key,
            info=chess.engine.INFO_SCORE | chess.engine.INFO_PV,
        )
        turn = self.board.turn
        return [(i["pv"][0], i["score"].pov(turn).score(mate_score=10_000)) for i in infos if i.get("pv")]

    def _crude_value(self, move: chess.Move) -> int:
        """Look one move ahead: what is taken, what hangs, where the king wants to go in this variant."""
        board, value = self.board, self.rng.randrange(60)
        taken = board.piece_type_at(move.to_square)
        moved = board.piece_type_at(move.from_square) or chess.PAWN
        if taken:
            value += PIECES_CP[taken] or 1000
        if board.gives_check(move):
            value += 80
        if self.plan.variant != "antichess" and board.is_attacked_by(not board.turn, move.to_square):
            value -= PIECES_CP[moved] * 4 // 5
        if moved == chess.KING:
            centre = min(chess.square_distance(move.to_square, s) for s in (chess.D4, chess.D5, chess.E4, chess.E5))
            value += {"racingKings": 70 * chess.square_rank(move.to_square), "kingOfTheHill": 90 - 40 * centre}.get(
                self.plan.variant, -40
            )
        return value

    def _choose(self, options: list[tuple[chess.Move, int]]) -> chess.Move:
        """Prefer good moves the more strongly the stronger the player; sometimes just slip."""
        strength, turn = self._strength(), self.board.turn
        hurried = 0.0 if self.plan.initial_s is None else max(0.0, 1 - self.left_cs[turn] / (self.initial_cs * 0.1 + 1))
        if happens(self.rng, 0.09 * math.exp(-(strength - 800) / 600) * (1 + 2 * hurried)):
            return self.rng.choice(sorted(self.board.legal_moves, key=chess.Move.uci))
        warmth = 200 * math.exp(-(strength - 800) / 600) * (1 + hurried)
        weights = [math.exp(max(-50, (value - options[0][1]) / warmth)) for _, value in options]
        return self.rng.choices([move for move, _ in options], weights)[0]

    def _steered(self) -> chess.Move | None:
        """Nudge the game towards a planned ending; None where there is nothing to nudge."""
        ending, board = self.plan.ending, self.board
        if ending not in (*SPARE_TIME, "flag_draw", "timeout_draw") or len(self.played.moves) < 12:
            return None
        moves = sorted(board.legal_moves, key=chess.Move.uci)
        chosen: list[chess.Move] = []
        if ending == "repetition":
            chosen = [m for m in moves if self._after(m).is_repetition(2)]
        elif ending == "fifty" and len(board.piece_map()) < 14:
            chosen = [m for m in moves if not board.is_zeroing(m) and not self._after(m).is_checkmate()]
        elif ending == "stalemate":
            chosen = [m for m in moves if self._after(m).is_stalemate()]
        elif ending != "repetition":
            chosen = [m for m in moves if board.is_capture(m)]
        if ending.endswith("_draw") and board.turn == chess.BLACK:
            chosen = chosen or moves  # Black plays at random until nothing is left
        if ending.endswith("_draw"):
            chosen = [m for m in chosen if not self._after(m).is_checkmate()]
        return self.rng.choice(chosen) if chosen else None

    def _after(self, move: chess.Move) -> chess.Board:
        board = self.board.copy(stack=self.plan.ending == "repetition")
        board.push(move)
        return board
