"""The page of the contracts: what we rely on in Lichess's answers, written from the models that check them."""

from collections.abc import Iterable, Iterator, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, RootModel
from pydantic.fields import FieldInfo

HEAD = """\
# What we rely on in Lichess's answers

Written from `resources/contracts.py` by `make docs`; a test fails when it is out of date.

Every answer is held to its contract before anything of it is stored. Types are strict: a number in quotes is no
number. Fields that are not listed here may come and go, and are kept in the stored document; texts such as statuses,
variants and speeds may take values that nobody knows yet. An answer that breaks its contract stores nothing: it is
kept in the quarantine (`$KSHIFT_HOME/state/quarantine`), and the run fails with a sentence that names the field, the
rule and an example, and raises an alert. A single damaged line of an export is set aside, and the others go on.
"""

_RULES = {
    "ge": "at least {}",
    "gt": "more than {}",
    "le": "at most {}",
    "lt": "less than {}",
    "pattern": "matches `{}`",
}
_NAMES = {str: "text", int: "whole number", float: "number", bool: "true or false"}


def contract_page(contracts: Sequence[tuple[str, type[BaseModel]]]) -> str:
    """The whole page, as Markdown: which answer keeps which contract, then every contract with its fields."""
    rows = [f"| `{answer}` | {_link(model)} |" for answer, model in contracts]
    listed = ["## Answers\n", "| answer | contract |", "|---|---|", *rows, ""]
    models = dict.fromkeys(inner for _, model in contracts for inner in _with_inner(model))
    return "\n".join([HEAD, *listed, *(_section(model) for model in models)])


def _section(model: type[BaseModel]) -> str:
    lines = [f"## {model.__name__}\n", f"{(model.__doc__ or '').strip()}\n"]
    if issubclass(model, RootModel):
        return "\n".join([*lines, f"A {_kind(model.model_fields['root'].annotation)}.\n"])
    rows = [
        f"| `{name}` | {_type_of(field)} | {'always' if field.is_required() else 'sometimes'} | {field.description} |"
        for name, field in model.model_fields.items()
    ]
    return "\n".join([*lines, "| field | type | there | meaning |", "|---|---|---|---|", *rows, ""])


def _type_of(field: FieldInfo) -> str:
    return _with_rules(_kind(field.annotation), field.metadata)


def _kind(annotation: Any) -> str:  # noqa: ANN401, PLR0911  # annotations are anything; one return each
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _with_rules(_kind(parts[0]), parts[1:])
    if origin in (Union, UnionType):
        return " or ".join(_kind(part) for part in parts if part is not NoneType)
    if origin is Literal:
        return " or ".join(f"`{part}`" for part in parts)
    if origin is list:
        return f"list of {_in_brackets(_kind(parts[0]))}"
    if origin is tuple:
        return "list of " + ", ".join(_in_brackets(_kind(part)) for part in parts)
    if origin is dict:
        return f"map from names to {_in_brackets(_kind(parts[1]))}"
    return _link(annotation) if _is_contract(annotation) else _NAMES[annotation]


def _in_brackets(kind: str) -> str:
    return f"({kind})" if "," in kind else kind


def _with_rules(kind: str, metadata: Iterable[Any]) -> str:
    rules = [
        text.format(value)
        for part in metadata
        for inner in (getattr(part, "metadata", None) or [part])
        for name, text in _RULES.items()
        if (value := getattr(inner, name, None)) is not None
    ]
    is_not_empty = any(
        getattr(inner, "min_length", None) for part in metadata for inner in (getattr(part, "metadata", None) or [part])
    )
    return ", ".join([kind, *(["not empty"] if is_not_empty else []), *rules]).replace("|", "\\|")


def _with_inner(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Give the model, then those of its fields, in order."""
    yield model
    for field in model.model_fields.values():
        for inner in _models_in(field.annotation):
            yield from _with_inner(inner)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401  # annotations are anything
    if _is_contract(annotation):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)


def _is_contract(annotation: Any) -> bool:  # noqa: ANN401  # annotations are anything
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _link(model: type[BaseModel]) -> str:
    return f"[{model.__name__}](#{model.__name__.lower()})"
