"""The small document beside the generations of a resource type: what is current, and which pushes are under way."""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bridge.errors import ForeignContentError, InvalidResponseError, UnsupportedLayoutError
from bridge.store.layout import LAYOUT, empty_generation, named
from bridge.store.store import is_revision
from bridge.strict_json import encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NONE: Final = "r0"
"""The name of the revision of a type that nothing was ever pushed to."""


@dataclass(frozen=True, slots=True)
class CurrentGeneration:
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
    def read(cls, value: Any) -> CurrentGeneration:
        """What is current, by a document.

        Raises:
            InvalidResponseError: It is none.
        """
        try:
            return cls(
                _digits(value["revision"]), _text(value["generation"]), _text(value["store"]), _count(value["count"])
            )
        except (KeyError, TypeError):
            raise InvalidResponseError(
                "what OPA has as current was not written by a bridge: remove it, and push again"
            ) from None


@dataclass(frozen=True, slots=True)
class TypeState:
    """The state of a resource type on an OPA.

    Attributes:
        store: What tells this OPA's memory from any other's, a restarted one's too.
        current: What is current; None before the first push.
        revision_name: The one name under `revisions`: whoever changes the resources removes it.
        leases: The generations of pushes that have begun and not ended, by the push's lease.
        heartbeats: How often each of these pushes has said that it is alive, by its lease.
    """

    store: str
    current: CurrentGeneration | None
    revision_name: str
    leases: Mapping[str, str]
    heartbeats: Mapping[str, int]

    @property
    def revision(self) -> str | None:
        """The current revision."""
        return None if self.current is None else self.current.revision

    @classmethod
    def read(cls, type_: str, value: Any) -> TypeState:
        """The state in a document.

        Raises:
            UnsupportedLayoutError: It is of a later layout.
            InvalidResponseError: It is none.
        """
        layout = value.get("layout") if isinstance(value, dict) else None
        if type(layout) is int and layout > LAYOUT:
            raise UnsupportedLayoutError(
                f"the resources of `{type_}` lie in OPA in layout {layout}, which a newer bridge has written; this one "
                f"knows layouts up to {LAYOUT}: update it"
            )
        try:
            _see_layout(layout)
            found = value.get("current")
            (revision_name,) = value["revisions"]
            return cls(
                store=_text(value["store"]),
                current=None if found is None else CurrentGeneration.read(found),
                revision_name=_text(revision_name),
                leases={_text(name): _text(lease["generation"]) for name, lease in value["leases"].items()},
                heartbeats={name: _number(lease["heartbeats"]) for name, lease in value["leases"].items()},
            )
        except (AttributeError, KeyError, TypeError, ValueError):
            raise InvalidResponseError(f"what OPA has as the state of `{type_}` was not written by a bridge") from None


@dataclass(frozen=True, slots=True)
class Lease:
    """A push that is under way: its name, and that of its generation."""

    name: str
    generation: str

    @classmethod
    def new(cls) -> Lease:
        """One that nobody else has."""
        unique = secrets.token_hex(8)
        return cls(f"m{unique}", f"g{unique}")

    def document(self) -> bytes:
        """Its document, which goes under `leases`."""
        return named({"generation": encode(self.generation), "heartbeats": b"0"})


def first_state(lease: Lease | None = None) -> bytes:
    """The document of a type that nothing was pushed to; with the first push's lease and generation, where one is."""
    leases = {} if lease is None else {lease.name: lease.document()}
    generations = {} if lease is None else {lease.generation: empty_generation()}
    state = {
        "layout": b"%d" % LAYOUT,
        "store": encode(secrets.token_hex(16)),
        "revisions": named({_NONE: b"true"}),
        "leases": named(leases),
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


def foreign(path: Sequence[str]) -> ForeignContentError:
    """The error for a document in the place of resources, or above it, that no bridge wrote."""
    id_ = reference(path)
    return ForeignContentError(
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
