"""The small document beside the generations of a resource type: what is current, and which pushes are under way."""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bridge.errors import BadAnswer, ForeignContent, LayoutDiffers
from bridge.resources.layout import LAYOUT, empty_generation, named
from bridge.resources.store import is_revision
from bridge.strict_json import encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NONE: Final = "r0"
"""The name of the revision of a type that nothing was ever pushed to."""


@dataclass(frozen=True, slots=True)
class Current:
    """What readers go by.

    Attributes:
        revision: The revision of the resources, in decimal digits.
        generation: The name of their generation.
        store: What tells this OPA's memory from any other's, a restarted one's too.
        count: How many there are.
    """

    revision: str
    generation: str
    store: str
    count: int

    @classmethod
    def read(cls, value: Any) -> Current:
        """What is current, by a document.

        Raises:
            BadAnswer: It is none.
        """
        try:
            return cls(
                _digits(value["revision"]), _text(value["generation"]), _text(value["store"]), _count(value["count"])
            )
        except (KeyError, TypeError):
            raise BadAnswer("what OPA has as current was not written by a bridge: remove it, and push again") from None


@dataclass(frozen=True, slots=True)
class State:
    """The state of a resource type on an OPA.

    Attributes:
        store: What tells this OPA's memory from any other's, a restarted one's too.
        current: What is current; None before the first push.
        revision_name: The one name under `revisions`: whoever changes the resources removes it.
        marks: The generations of pushes that have begun and not ended, by the push's mark.
        beats: How often each of these pushes has said that it is alive, by its mark.
    """

    store: str
    current: Current | None
    revision_name: str
    marks: Mapping[str, str]
    beats: Mapping[str, int]

    @property
    def revision(self) -> str | None:
        """The current revision."""
        return None if self.current is None else self.current.revision

    @classmethod
    def read(cls, type_: str, value: Any) -> State:
        """The state in a document.

        Raises:
            LayoutDiffers: It is of a later layout.
            BadAnswer: It is none.
        """
        layout = value.get("layout") if isinstance(value, dict) else None
        if type(layout) is int and layout > LAYOUT:
            raise LayoutDiffers(
                f"the resources of `{type_}` lie in OPA in layout {layout}, which a newer bridge has written; this one "
                f"knows layouts up to {LAYOUT}: update it"
            )
        try:
            _see_layout(layout)
            found = value.get("current")
            (revision_name,) = value["revisions"]
            return cls(
                store=_text(value["store"]),
                current=None if found is None else Current.read(found),
                revision_name=_text(revision_name),
                marks={_text(name): _text(mark["generation"]) for name, mark in value["marks"].items()},
                beats={name: _number(mark["beats"]) for name, mark in value["marks"].items()},
            )
        except (AttributeError, KeyError, TypeError, ValueError):
            raise BadAnswer(f"what OPA has as the state of `{type_}` was not written by a bridge") from None


@dataclass(frozen=True, slots=True)
class Mark:
    """A push that is under way: its name, and that of its generation."""

    name: str
    generation: str

    @classmethod
    def new(cls) -> Mark:
        """One that nobody else has."""
        unique = secrets.token_hex(8)
        return cls(f"m{unique}", f"g{unique}")

    def document(self) -> bytes:
        """Its document, which goes under `marks`."""
        return named({"generation": encode(self.generation), "beats": b"0"})


def first_state(mark: Mark | None = None) -> bytes:
    """The document of a type that nothing was pushed to; with the first push's mark and generation, where one is."""
    marks = {} if mark is None else {mark.name: mark.document()}
    generations = {} if mark is None else {mark.generation: empty_generation()}
    state = {
        "layout": b"%d" % LAYOUT,
        "store": encode(secrets.token_hex(16)),
        "revisions": named({_NONE: b"true"}),
        "marks": named(marks),
    }
    return named({"state": named(state), "generations": named(generations)})


def current(revision: str, generation: str, store: str, count: int) -> bytes:
    """The document `current`; it holds the store's name too, so that a reader has all that it compares."""
    return named(
        {
            "revision": encode(revision),
            "generation": encode(generation),
            "store": encode(store),
            "count": b"%d" % count,
        }
    )


def foreign(path: Sequence[str]) -> ForeignContent:
    """The error for a document in the place of resources, or above it, that no bridge wrote."""
    id_ = reference(path)
    return ForeignContent(
        f"`{id_}` holds data that no bridge wrote, and is left as it is: choose another data root, or have exactly "
        f"this removed (`jwt-bridge install --replace '{id_}'`, with the options of the rules)",
        (id_,),
    )


def reference(path: Iterable[str]) -> str:
    """A document as Rego names it, such as `data.jwt_policy_data.devices`; odd names are quoted, in ASCII."""
    return "data" + "".join(f".{name}" if _NAME.fullmatch(name) else f"[{json.dumps(name)}]" for name in path)


def _see_layout(value: Any) -> None:
    """No other is ever read, not by the rules either."""
    if _number(value) != LAYOUT:
        raise TypeError


def _text(value: Any) -> str:
    if type(value) is not str or not value:
        raise TypeError
    return value


def _digits(value: Any) -> str:
    text = _text(value)
    if not is_revision(text):
        raise TypeError
    return text


def _number(value: Any) -> int:
    if type(value) is not int:
        raise TypeError
    return value


def _count(value: Any) -> int:
    number = _number(value)
    if number < 0:
        raise TypeError
    return number
