"""The state of a resource type, beside its generations: the current generation, and the leases of pushes."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bridge.errors import ForeignContentError, InvalidResponseError, UnsupportedLayoutError
from bridge.store.layout import LAYOUT, empty_generation, named
from bridge.store.store import is_revision
from bridge.strict_json import encode

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NONE: Final = "r0"
"""The name of the revision of a type that nothing was ever pushed to."""


@dataclass(frozen=True, slots=True)
class CurrentGeneration:
    """The generation that readers use.

    Attributes:
        revision: The revision of the resources, in decimal digits.
        generation: The name of their generation.
        store: A random name for the memory of this OPA process; after a restart it is another one.
        count: The number of resources.
    """

    revision: str
    generation: str
    store: str
    count: int

    @classmethod
    def read(cls, value: Any) -> CurrentGeneration:
        """Read the document `current`.

        Raises:
            InvalidResponseError: It is no such document.
        """
        try:
            return cls(
                _digits(value["revision"]), _text(value["generation"]), _text(value["store"]), _count(value["count"])
            )
        except (KeyError, TypeError):
            raise InvalidResponseError(
                "the current generation in OPA was not written by a bridge: remove it, and push again"
            ) from None


@dataclass(frozen=True, slots=True)
class TypeState:
    """The state of a resource type on an OPA.

    Attributes:
        store: A random name for the memory of this OPA process; after a restart it is another one.
        current: The current generation; None before the first push.
        revision_name: The one name under `revisions`: each change of the resources removes it.
        leases: The generations of pushes that have begun and not ended, by lease.
        heartbeats: The number of heartbeats of each of these pushes, by lease.
    """

    store: str
    current: CurrentGeneration | None
    revision_name: str
    leases: Mapping[str, str]
    heartbeats: Mapping[str, int]

    @property
    def revision(self) -> str | None:
        """Return the current revision; None before the first push."""
        return None if self.current is None else self.current.revision

    @classmethod
    def read(cls, type_: str, value: Any) -> TypeState:
        """Read the document `state`.

        Raises:
            UnsupportedLayoutError: It has a later layout.
            InvalidResponseError: It is no such document.
        """
        layout = value.get("layout") if isinstance(value, dict) else None
        if type(layout) is int and layout > LAYOUT:
            raise UnsupportedLayoutError(
                f"the resources of `{type_}` lie in OPA in layout {layout}, which a newer bridge has written; this one "
                f"knows layouts up to {LAYOUT}: update it"
            )
        try:
            _require_layout(layout)
            generation = value.get("current")
            (revision_name,) = value["revisions"]
            return cls(
                store=_text(value["store"]),
                current=None if generation is None else CurrentGeneration.read(generation),
                revision_name=_text(revision_name),
                leases={_text(name): _text(lease["generation"]) for name, lease in value["leases"].items()},
                heartbeats={name: _number(lease["heartbeats"]) for name, lease in value["leases"].items()},
            )
        except (AttributeError, KeyError, TypeError, ValueError):
            raise InvalidResponseError(f"the state of `{type_}` in OPA was not written by a bridge") from None


@dataclass(frozen=True, slots=True)
class Lease:
    """The lease of a push that is under way: its name, and the name of its generation."""

    name: str
    generation: str

    @classmethod
    def new(cls) -> Lease:
        """Create a lease with a new random name."""
        unique = secrets.token_hex(8)
        return cls(f"m{unique}", f"g{unique}")

    def document(self) -> bytes:
        """Return its document, which lies under `leases`."""
        return named({"generation": encode(self.generation), "heartbeats": b"0"})


def first_state(lease: Lease | None = None) -> bytes:
    """Return the document of a type before the first push, with the lease and the generation of that push, if any."""
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
    """Return the document `current`; it repeats the store's name, so that a reader needs no other document."""
    return named(
        {
            "revision": encode(revision),
            "generation": encode(generation),
            "store": encode(store),
            "count": b"%d" % count,
        }
    )


def foreign(path: Sequence[str]) -> ForeignContentError:
    """Return the error for a document that no bridge wrote, in the place of resources or above it."""
    id_ = reference(path)
    return ForeignContentError(
        f"`{id_}` holds data that no bridge wrote, and is left as it is: choose another data root, or remove exactly "
        f"this document (`jwt-bridge install --replace '{id_}'`, with the options of the rules)",
        (id_,),
    )


def reference(path: Iterable[str]) -> str:
    """Return the path of a document as Rego writes it, such as `data.jwt_policy_data.devices`; odd names are quoted."""
    return "data" + "".join(f".{name}" if _NAME.fullmatch(name) else f"[{json.dumps(name)}]" for name in path)


def _require_layout(value: Any) -> None:
    """Require this layout; the rules read no other one either."""
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
