"""OPA's data in this process, asked as `OpaClient` is: for tests of what a store sends, whatever comes in between.

It does what `tests/integration/test_memory_opa.py` has seen a real OPA do.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from recounting import PatchError, held, patched, whole

from bridge.errors import OpaStatusError, UsageError
from bridge.opa.limited import Limits
from bridge.store import OpaStore, layout
from bridge.store.store import PreparedResources, prepare
from bridge.strict_json import ABSENT, encode, parse, sorted_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bridge.opa.replies import MemoryUsage, StoredPolicy

_ESCAPES = {character: f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


class Request(NamedTuple):
    """What was asked.

    Attributes:
        method: `GET`, `TEXT` (a `GET` whose answer is wanted as text), `PUT`, `PATCH` or `METRICS`.
        path: The names from the root down.
        fresh: On a new connection.
        deadline: Seconds; None for those of the client.
        body: What was sent.
    """

    method: str
    path: tuple[str, ...] = ()
    fresh: bool = False
    deadline: float | None = None
    body: bytes = b""


_KINDS: Final = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null", int: "number"}


class MemoryOpa:
    """An OPA without rules.

    Attributes:
        data: All documents.
        requests: What was asked, in order.
        before: Told each request before it is done; what it raises is raised in place of the answer.
        after: Told each request once it was done, likewise.
        metrics: What it says of its memory.
        policies: The modules that it says it holds.
    """

    deadline = 10.0
    max_body = 16 * 1024 * 1024

    def __init__(self) -> None:
        self.data: Any = {}
        self.requests: list[Request] = []
        self.before: Callable[[Request], object] = lambda _: None
        self.after: Callable[[Request], object] = lambda _: None
        self.metrics: MemoryUsage | None = None
        self.policies: tuple[StoredPolicy, ...] = ()

    def get_data(self, path: Sequence[str], *, deadline: float | None = None, fresh: bool = False) -> Any:
        return self._respond(Request("GET", tuple(path), fresh, deadline), self._get)

    def get_data_text(self, path: Sequence[str], *, deadline: float | None = None) -> Any:
        return self._respond(Request("TEXT", tuple(path), deadline=deadline), self._text)

    def create_data(self, path: Sequence[str], body: bytes, *, deadline: float | None = None) -> bool:
        return bool(self._respond(Request("PUT", tuple(path), deadline=deadline, body=body), self._create))

    def patch_data(self, path: Sequence[str], body: bytes, *, deadline: float | None = None) -> None:
        self._respond(Request("PATCH", tuple(path), deadline=deadline, body=body), self._patch)

    def kind(self, path: Sequence[str], *, deadline: float | None = None) -> str | None:
        return self._respond(Request("KIND", tuple(path), deadline=deadline), self._kind)  # type: ignore[no-any-return]

    def list_policies(self) -> tuple[StoredPolicy, ...]:
        return self._respond(Request("POLICIES"), lambda _: self.policies)  # type: ignore[no-any-return]

    def memory(self) -> MemoryUsage | None:
        return self._respond(Request("METRICS"), lambda _: self.metrics)  # type: ignore[no-any-return]

    def held(self, types: Sequence[str], root: tuple[str, ...]) -> Callable[..., dict[str, Any]]:
        """What the installed rules tell by `stored_view`, from what is there."""

        def answer(question: bytes, *, fresh: bool) -> dict[str, Any]:
            return self._respond(Request("HELD", root, fresh, body=question), look)  # type: ignore[no-any-return]

        def look(request: Request) -> dict[str, Any]:
            query, documents = parse(request.body), self._at(root)
            states = {type_: self._at((*root, type_, "state")) for type_ in types}
            current = {
                type_: {"layout": state["layout"]} if state["layout"] != layout.LAYOUT else state["current"]
                for type_, state in states.items()
                if state is not ABSENT and ("current" in state or state["layout"] != layout.LAYOUT)
            }
            result: dict[str, Any] = {"current": copy.deepcopy(current)}
            if "generation" in current.get(query["type"], {}):
                generations = documents[query["type"]]["generations"]
                result["view"] = copy.deepcopy(held(generations[current[query["type"]]["generation"]], query))
            return result

        return answer

    def _respond(self, request: Request, do: Callable[[Request], Any]) -> Any:
        self.requests.append(request)
        self.before(request)
        answer = do(request)
        self.after(request)
        return answer

    def _at(self, path: Sequence[str]) -> Any:
        value = self.data
        for name in path:
            if not isinstance(value, dict) or name not in value:
                return ABSENT
            value = value[name]
        return value

    def _get(self, request: Request) -> Any:
        return copy.deepcopy(self._at(request.path))

    def _kind(self, request: Request) -> str | None:
        if not request.path:
            raise UsageError("a path needs names")
        value = self._at(request.path)
        return None if value is ABSENT else _KINDS[type(value)]

    def _text(self, request: Request) -> Any:
        value = self._at(request.path)
        if value is ABSENT:
            return ABSENT
        text = sorted_text(value).decode()
        return "".join(_ESCAPES.get(character, character) for character in text)

    def _create(self, request: Request) -> bool:
        if self._at(request.path) is not ABSENT:
            return False
        parent = self.data
        for name in request.path[:-1]:
            parent = parent.setdefault(name, {})
            if not isinstance(parent, dict):
                raise refused(404, "resource_conflict")
        parent[request.path[-1]] = parse(request.body)
        return True

    def _patch(self, request: Request) -> None:
        *above, name = request.path
        parent = self._at(above)
        document = copy.deepcopy(self._at(request.path))
        if document is ABSENT:
            raise refused(404)
        try:
            patched(document, parse(request.body))
        except PatchError as cannot:
            raise refused(cannot.status) from cannot
        parent[name] = document


class Several:
    """Several OPAs behind one address.

    Args:
        opas: These.
        turn: Which of them, by its number, answers a request.
    """

    def __init__(self, opas: Sequence[MemoryOpa], turn: Callable[[str, bool], int]) -> None:
        self.opas = opas
        self.deadline = MemoryOpa.deadline
        self.max_body = MemoryOpa.max_body
        self._turn = turn

    def held(self, types: Sequence[str], root: tuple[str, ...]) -> Callable[..., dict[str, Any]]:
        def answer(question: bytes, *, fresh: bool) -> dict[str, Any]:
            return self.opas[self._turn("held", fresh)].held(types, root)(question, fresh=fresh)

        return answer

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, fresh: bool | None = None, **settings: Any) -> Any:
            opa = self.opas[self._turn(name, bool(fresh))]
            all_settings = settings if fresh is None else {**settings, "fresh": fresh}
            return getattr(opa, name)(*arguments, **all_settings)

        return call


def refused(status: int, code: str = "") -> OpaStatusError:
    """The error for an answer of that status."""
    return OpaStatusError("OPA refuses", status=status, opa_code=code)


class Waits(Limits):
    """Limits of a clock of their own, which only pauses move.

    Args:
        seconds: For all of it together.
    """

    def __init__(self, seconds: float = 1_000.0) -> None:
        self.now = 0.0
        self.paused: list[float] = []
        self.while_paused: Callable[[], object] = lambda: None
        super().__init__(seconds, name="it", setting="patience", clock=lambda: self.now)

    def pause(self, seconds: float) -> None:
        self.paused.append(seconds)
        self.now += seconds
        self.while_paused()


class Once:
    """Does something at the request of that number among those of a method."""

    def __init__(self, method: str, number: int, do: Callable[[], object]) -> None:
        self.method, self.number, self.do, self.seen = method, number, do, 0

    def __call__(self, request: Request) -> None:
        if request.method == self.method:
            self.seen += 1
            if self.seen == self.number:
                self.do()


def fails(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


ROOT: Final = ("root",)
TYPES: Final = ("devices", "sessions")


def document(opa: MemoryOpa) -> Any:
    """What is stored of the devices."""
    return opa.data["root"]["devices"]


def ids(opa: MemoryOpa) -> list[str]:
    """The ids of the current generation of the devices."""
    return sorted(whole(document(opa)))


def lines(opa: MemoryOpa) -> list[str]:
    """The requests as texts."""
    return [f"{request.method} {'/'.join(request.path[1:])}{' fresh' * request.fresh}" for request in opa.requests]


def store_on(opa: Any, **settings: Any) -> OpaStore:
    """A store with the rules that an OPA in memory stands in for."""
    return OpaStore(opa, ROOT, TYPES, opa.held(TYPES, ROOT), **settings)


def texts(*ids: str, **custom_data: Any) -> PreparedResources:
    """Resources of these ids that are alike."""
    return prepare({encode(id_): encode({"id": id_, "custom_data": custom_data}) for id_ in ids})
