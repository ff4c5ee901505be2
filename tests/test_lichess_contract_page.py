"""The page of the contracts says every rule that the contracts hold answers to."""

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field, RootModel

from resources.contract_page import contract_page
from resources.contracts import CONTRACTS, Evaluation, Game, Perf, PlayTime, RatingPoints, TvGame, User

PAGE = Path(__file__).parents[1] / "docs" / "lichess_contract.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == contract_page(CONTRACTS), "write it anew with `make docs`"


@pytest.mark.parametrize("model", [Game, Evaluation, User, Perf, PlayTime, RatingPoints, TvGame])
def test_every_field_stands_on_the_page_with_its_meaning(model: type[BaseModel]) -> None:
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {model.__name__}\n")[1].split("\n## ")[0]
    for name, field in model.model_fields.items():
        [row] = [line for line in section.splitlines() if line.startswith(f"| `{name}` |")]
        assert field.description
        assert field.description in row


def test_every_answer_that_the_client_reads_is_listed() -> None:
    """The calls of the client, written by hand."""
    text = PAGE.read_text(encoding="utf-8")
    for answer in (
        "GET /api/games/user/{name}",
        "GET /game/export/{id}",
        "POST /api/games/export/_ids",
        "GET /api/tv/{channel}",
        "GET /api/tv/channels",
        "POST /api/users",
        "GET /api/user/{name}/rating-history",
    ):
        assert f"`{answer}" in text


class Part(BaseModel):
    """A part."""

    side: Literal["left", "right"] | None = Field(None, description="Which")


class Whole(BaseModel):
    """A whole."""

    parts: list[Part] = Field(min_length=1, description="Its parts")
    code: str = Field(pattern="^a|b$", description="A code")
    pair: tuple[Annotated[int, Field(ge=1)], int] = Field(description="Two numbers")


class Wholes(RootModel[dict[str, Whole]]):
    """Wholes by name."""


def test_types_and_rules_are_said_in_words() -> None:
    page = contract_page([("GET /wholes", Wholes)])
    assert "| `GET /wholes` | [Wholes](#wholes) |" in page
    assert "A map from names to [Whole](#whole)." in page
    assert "| `parts` | list of [Part](#part), not empty | always | Its parts |" in page
    assert r"| `code` | text, matches `^a\|b$` | always | A code |" in page
    assert "| `pair` | list of (whole number, at least 1), whole number | always | Two numbers |" in page
    assert "| `side` | `left` or `right` | sometimes | Which |" in page
