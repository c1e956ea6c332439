"""Coverage-guided fuzzing of strict JSON, by hand; the tests ask the same of random and of mutated documents.

atheris is no dependency of the project (it has wheels for some Pythons only) and CI does not run this::

    .venv/bin/pip install atheris
    .venv/bin/python tests/fuzz/strict_json_fuzz.py -max_total_time=600 -max_len=4096 [FOLDER OF INPUTS]

It ends with a traceback and the input that did it, or after the time with nothing.
"""

from __future__ import annotations

import sys

import atheris  # type: ignore[import-not-found] # installed by hand

with atheris.instrument_imports(include=["bridge.strict_json"]):
    from strict_json_property import judge

_AS_TEXT = 1


def one_input(data: bytes) -> None:
    """The first byte says whether it is given as bytes or as text, surrogates included."""
    if data[:1] and data[0] & _AS_TEXT:
        judge(data[1:].decode("utf-8", "surrogateescape"))
    else:
        judge(data[1:])


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
