"""Writes tests/vectors/tokens: `python tools/signing/make_tokens.py`.

The files are what counts; this says how they were made. What must come out of a token is written here by hand, from the
rule book, and never asked of a verifier. The keys of `pem/` are for these vectors and for nothing else.

PSS and ECDSA signatures differ each time one is made. A signature that stands in the files already is kept as long as
it is right for what is signed, so that running this again changes only what must change.
"""

from __future__ import annotations

from algorithms import algorithms
from claims import claims
from form import form
from header import header
from key_sets import keys
from payload import payload
from settings import settings
from times import time_

if __name__ == "__main__":
    for made in (algorithms(), header(), keys(), form(), payload(), time_(), claims(), settings()):
        made.write()
        print(f"{made.name}: {len(made.cases)} cases")  # noqa: T201 - a script that tells what it did
