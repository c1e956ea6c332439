"""What an OPA answers, typed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.strict_json import Absent, Value


@dataclass(frozen=True, slots=True)
class QueryReply:
    """The answer to a query.

    Attributes:
        result: The value of the document asked for, or `ABSENT`: it is undefined, which is neither null nor false.
        decision_id: OPA's name for the decision in its decision log, if it keeps one.
        version: OPA's version, which is new enough, where provenance was asked for.
        bundles: The revision of each active bundle that has one, by its name, where provenance was asked for.
        nonce: What went out with the question, for whoever reads `result` to compare; None where it had none.
    """

    result: Value | Absent
    decision_id: str | None = None
    version: str | None = None
    bundles: Mapping[str, str] = field(default_factory=dict, hash=False)
    nonce: str | None = None


@dataclass(frozen=True, slots=True)
class CompileReply:
    """What is left of a query once everything known has been worked out.

    Attributes:
        queries: Alternatives, each an array of expressions in OPA's JSON form of Rego. None at all: the query
            never holds. An empty one: it always holds.
        support: Modules, in the same form, that the queries refer to.
    """

    queries: tuple[Value, ...]
    support: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class StoredPolicy:
    """A module that an OPA holds.

    Attributes:
        id: The name that it was put under, or its path in its bundle.
        text: Its Rego.
        package: The names of its package below `data`, as OPA has parsed them.
        rules: For each of its rules the names below `data` that it is defined at, as far as they are constant.
    """

    id: str
    text: str
    package: tuple[str, ...] = field(default=(), compare=False)
    rules: frozenset[tuple[str, ...]] = field(default=frozenset(), compare=False)


@dataclass(frozen=True, slots=True)
class Health:
    """Whether an OPA says that it is ready.

    Attributes:
        ok: It is.
        message: Why it is not; empty when it is.
    """

    ok: bool
    message: str = ""


@dataclass(frozen=True, slots=True)
class MemoryUsage:
    """The memory of OPA's process, in bytes.

    Attributes:
        used: What its heap takes.
        limit: What it may take (`GOMEMLIMIT`); None where nobody has said.
    """

    used: int
    limit: int | None
