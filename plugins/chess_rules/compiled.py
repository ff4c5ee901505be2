"""Compiling with numba, from a cache on disk where there can be one. No chess here."""

import hashlib
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numba.extending import intrinsic

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
# What makes no arrays need not count references to those it gets: that takes half of the time in small functions.
_WITHOUT_ARRAYS = {**_OPTIONS, "_nrt": False}

Function = TypeVar("Function", bound=Callable[..., Any])

integer = cast("Callable[[int], int]", np.int64)
"""A 64-bit integer. numba compiles a function anew for each type of its arguments, and a constant or an element of an
array of bytes has a type of its own; `int` would leave it as it is."""


def _of_bits(instruction: Callable[[Any, Any, Any], Any]) -> Callable[[int], int]:
    """A function of the bits of a 64-bit integer that processors have and numba does not."""

    def typed(_typing: object, bits: object) -> tuple[object, Callable[..., Any]]:
        signature = numba.int64(numba.int64) if bits == numba.int64 else None
        return signature, lambda target, builder, _signature, arguments: instruction(target, builder, arguments[0])

    return cast("Callable[[int], int]", intrinsic(typed))


lowest_bit = _of_bits(lambda target, builder, bits: builder.cttz(bits, target.get_constant(numba.boolean, val=True)))
"""The number of the lowest bit that is set, from 0; for compiled code, and not for 0, which has none."""
n_bits = _of_bits(lambda _target, builder, bits: builder.ctpop(bits))
"""How many bits are set; for compiled code."""


def compiled(function: Function) -> Function:
    """The function as machine code, for others that are compiled: it becomes a part of them.

    It is compiled when one that calls it is, and needs no cache of its own. Integers wrap around, arrays are not
    checked for bounds: whoever indexes proves that the index lies inside. It makes no arrays: it fills those it gets.
    """
    return cast("Function", numba.njit(**_WITHOUT_ARRAYS)(function))


def inlined(function: Function) -> Function:
    """The same, and it always becomes a part of those that call it: much faster where it is called for every ply.

    Each place that calls it is compiled apart, so it is for small functions, or those that are called in one place.
    """
    return cast("Function", numba.njit(forceinline=True, **_WITHOUT_ARRAYS)(function))


def compiled_once(function: Function, *, makes_arrays: bool = True) -> Function:
    """The function as machine code that is kept on disk: compiled once on a machine, then loaded in a fraction of it.

    numba keeps it beside the source, or below the user's cache folder where the source cannot be written to
    (NUMBA_CACHE_DIR names another place). Where neither can be written to, and where what is kept there is damaged
    (a file that a power cut left empty), the function is compiled again: that costs seconds, never a result.
    One that does not make arrays of its own is faster if that is said.
    """
    options = _OPTIONS if makes_arrays else _WITHOUT_ARRAYS
    afresh = numba.njit(**options)(function)
    try:
        kept = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # numba finds no folder that it can write to
        return cast("Function", afresh)
    chosen: list[Callable[..., Any]] = []

    def call(*arguments: object) -> object:
        if chosen:
            return chosen[0](*arguments)
        try:
            result = kept(*arguments)
        except Exception:  # noqa: BLE001  # pickle raises anything; an error of the function itself comes again below
            _forget(kept.stats.cache_path, function)
            chosen[:] = [afresh]
            return chosen[0](*arguments)
        chosen[:] = [kept]
        return result

    return cast("Function", call)


def stamp(files: Iterable[str]) -> int:
    """A number that changes with the text of any of the files.

    numba's cache looks at the file of a function alone. If the function also has this number as a free variable, then
    a change in a file from which it calls something makes it anew as well.
    """
    texts = b"".join(hashlib.sha256(Path(file).read_bytes()).digest() for file in files)
    return zlib.crc32(texts)


def _forget(folder: str | None, function: Callable[..., Any]) -> None:
    """Take away what the cache holds of a function, so that the next process does not stumble over it again."""
    module = Path(function.__code__.co_filename).stem
    for file in Path(folder or ".").glob(f"{module}.*.nb[ic]"):
        file.unlink(missing_ok=True)
