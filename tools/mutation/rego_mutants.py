"""Mutants of Rego, made on OPA's syntax tree.

Conditions are dropped, negated and made false; comparisons, set operations and functions are exchanged; constants are
changed; elements of literals, rules, bodies and `else` are taken away; calls lose what they do, and swap arguments;
`some` runs over names in place of values, and over other collections; variables stand for one another; array and set
comprehensions change places. Many of these do not compile, and are then no mutants.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from mutation.mutants import Mutant, keyed
from mutation.rego_text import INFIX, bare, is_always, module_text, operator, rule_name, term_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from collections.abc import Set as AbstractSet

    Path: TypeAlias = tuple[str | int, ...]
    Change: TypeAlias = tuple[Path, Any]

_COMPARISONS: Final = ("equal", "neq", "lt", "lte", "gt", "gte")
_SETS: Final = ("or", "and", "minus")
_ARITHMETIC: Final = ("plus", "minus", "mul", "div")
_SIBLINGS: Final = (
    ("is_array", "is_boolean", "is_null", "is_number", "is_object", "is_set", "is_string"),
    ("object.filter", "object.remove"),
    ("lower", "upper"),
    ("array.concat", "object.union"),
    ("json.marshal", "json.unmarshal"),
    ("startswith", "endswith", "contains"),
    ("base64url.decode", "base64.decode"),
)
_ALWAYS: Final = {"index": 0, "terms": {"type": "boolean", "value": True}}
_NEVER: Final = {"index": 0, "terms": {"type": "boolean", "value": False}}
_NOTHING: Final = {
    "arraycomprehension": {"type": "array", "value": []},
    "setcomprehension": {"type": "set", "value": []},
    "objectcomprehension": {"type": "object", "value": []},
}

Functions: TypeAlias = "Mapping[str, Mapping[str, int]]"
"""By package, its functions and how many arguments each takes."""


def functions_of(module: dict[str, Any]) -> dict[str, int]:
    """Return the functions that a module defines, and how many arguments each takes."""
    return {rule_name(rule): len(rule["head"]["args"]) for rule in module["rules"] if "args" in rule["head"]}


def sets_of(module: dict[str, Any]) -> set[str]:
    """Return the names of a module's rules that are sets, as other modules write them."""
    package = module["package"]["path"][-1]["value"]
    sets = ("set", "setcomprehension")
    return {f"{package}.{rule_name(rule)}" for rule in module["rules"] if rule["head"]["value"]["type"] in sets}


def mutants(file: str, module: dict[str, Any], functions: Functions, sets: AbstractSet[str]) -> Iterator[Mutant]:
    """Yield all mutants of a module.

    Args:
        file: The module's file, below the tree's root.
        module: Its syntax tree.
        functions: What other packages offer, by the name that they are imported by; `""` is the module itself.
        sets: What is known to be a set, as it is called here.
    """
    module = bare(module)
    changes = _Changes(module, functions, sets)
    candidates = (
        (changes.within(path), module_text(_replaced(module, path, new)), False) for path, new in changes.all()
    )
    return keyed(file, module_text(module), candidates)


def _replaced(tree: Any, path: Path, new: Any) -> Any:
    if not path:
        return new
    copy = tree.copy()
    copy[path[0]] = _replaced(tree[path[0]], path[1:], new)
    return copy


def _without(items: list[Any], at: int) -> list[Any]:
    return items[:at] + items[at + 1 :]


def _ref(name: str) -> dict[str, Any]:
    first, *others = name.split(".")
    parts = [{"type": "var", "value": first}, *({"type": "string", "value": other} for other in others)]
    return {"type": "ref", "value": parts}


class _Changes:
    """The changes of one module: the place in the tree, and the replacement."""

    def __init__(self, module: dict[str, Any], functions: Functions, sets: AbstractSet[str]) -> None:
        self.module = module
        self.functions = functions
        self.sets = sets
        self.collections: list[dict[str, Any]] = []
        for symbol in _symbols(module["rules"]):
            if symbol["value"][-1] not in self.collections:
                self.collections.append(symbol["value"][-1])
        self.variables: list[str] = []

    def within(self, path: Path) -> str:
        return rule_name(self.module["rules"][path[1]]) if len(path) > 1 else ""

    def all(self) -> Iterator[Change]:
        rules = self.module["rules"]
        for at in range(len(rules)):
            yield ("rules",), _without(rules, at)
        for at, rule in enumerate(rules):
            self.variables = sorted(_bound(rule))
            yield from self.rule(("rules", at), rule)

    def rule(self, path: Path, rule: dict[str, Any]) -> Iterator[Change]:
        yield from self.term((*path, "head", "value"), rule["head"]["value"])
        if not rule.get("default"):
            if not is_always(rule["body"]):
                yield (*path, "body"), [_ALWAYS]
            yield from self.body((*path, "body"), rule["body"])
        if "else" in rule:
            other = rule["else"]
            yield path, {name: value for name, value in rule.items() if name != "else"}
            yield (
                path,
                {**rule, "body": other["body"], "head": {**rule["head"], "value": other["head"]["value"]}}
                | ({"else": other["else"]} if "else" in other else {}),
            )
            if "else" in other:
                yield (*path, "else"), other["else"]
            yield from self.rule((*path, "else"), other)

    def body(self, path: Path, body: list[dict[str, Any]]) -> Iterator[Change]:
        for at, expression in enumerate(body):
            if is_always([expression]):
                continue
            if len(body) > 1:
                yield path, _without(body, at)
            yield (*path, at), _NEVER
            yield from self.expression((*path, at), expression)

    def expression(self, path: Path, expression: dict[str, Any]) -> Iterator[Change]:
        terms = expression["terms"]
        if isinstance(terms, dict) and "symbols" in terms:
            yield from self.some((*path, "terms", "symbols", 0), terms["symbols"][0])
            return
        if isinstance(terms, dict) and "domain" in terms:
            yield from self.term((*path, "terms", "domain"), terms["domain"])
            yield from self.body((*path, "terms", "body"), terms["body"])
            return
        yield path, {**expression, "negated": not expression.get("negated", False)}
        if isinstance(terms, list):
            yield from self.call((*path, "terms"), terms)
        else:
            yield from self.term((*path, "terms"), terms)

    def some(self, path: Path, symbol: dict[str, Any]) -> Iterator[Change]:
        if symbol["type"] != "call":
            return
        *names, collection = symbol["value"][1:]
        if len(names) == 1 and not self.is_set(collection):
            over_names = [_ref("internal.member_3"), names[0], {"type": "var", "value": "$mutant"}, collection]
            yield (*path, "value"), over_names
        for other in self.collections:
            if other != collection:
                yield (*path, "value", len(names) + 1), other
        yield from self.term((*path, "value", len(names) + 1), collection)

    def is_set(self, term: dict[str, Any]) -> bool:
        """Return whether the term is certainly a set: its names are its members."""
        if term["type"] == "call":
            return operator(term["value"][0]) in (*_SETS, "object.keys")
        return term["type"] in ("set", "setcomprehension") or term_text(term) in self.sets

    def call(self, path: Path, terms: list[dict[str, Any]]) -> Iterator[Change]:
        name, arguments = operator(terms[0]), terms[1:]
        for other in self.exchanged(name, len(arguments)):
            yield (*path, 0), _ref(other)
        if name != "assign":
            for at in range(1, len(arguments)):
                swapped = [*terms]
                swapped[at], swapped[at + 1] = swapped[at + 1], swapped[at]
                if name not in ("equal", "neq", "or", "and", "plus", "mul"):
                    yield path, swapped
        for at, argument in enumerate(arguments, 1):
            if name == "assign" and at == 1:
                continue
            yield from self.term((*path, at), argument)

    def exchanged(self, name: str, arity: int) -> Iterator[str]:
        for group in (_COMPARISONS, _SETS, _ARITHMETIC, *_SIBLINGS):
            if name in group:
                yield from (other for other in group if other != name)
        package, _, own = name.rpartition(".")
        known = self.functions.get(package, {})
        if own in known:
            prefix = f"{package}." if package else ""
            yield from (prefix + other for other, takes in known.items() if other != own and takes == arity)

    def term(self, path: Path, term: dict[str, Any]) -> Iterator[Change]:
        kind, value = term["type"], term["value"]
        if kind in ("string", "number", "boolean", "null"):
            for new in _constants(kind, value):
                yield path, new
        elif kind == "var":
            yield from self.variable(path, value)
        elif kind == "ref":
            yield from self.ref(path, value)
        elif kind == "call":
            if operator(value[0]) not in INFIX or operator(value[0]) in _SETS + _ARITHMETIC:
                for argument in value[1:]:
                    yield path, argument
            yield from self.call((*path, "value"), value)
        elif kind in ("array", "set"):
            for at, item in enumerate(value):
                yield (*path, "value"), _without(value, at)
                yield from self.term((*path, "value", at), item)
        elif kind == "object":
            for at, (name, held) in enumerate(value):
                yield (*path, "value"), _without(value, at)
                yield from self.term((*path, "value", at, 0), name)
                yield from self.term((*path, "value", at, 1), held)
        else:
            yield from self.comprehension(path, kind, value)

    def variable(self, path: Path, name: str) -> Iterator[Change]:
        if name in self.variables:
            for other in self.variables:
                if other != name:
                    yield path, {"type": "var", "value": other}

    def ref(self, path: Path, parts: list[dict[str, Any]]) -> Iterator[Change]:
        if len(parts) > 1:
            shorter = parts[:-1]
            yield path, shorter[0] if len(shorter) == 1 else {"type": "ref", "value": shorter}
        for at, part in enumerate(parts):
            yield from self.term((*path, "value", at), part)

    def comprehension(self, path: Path, kind: str, value: dict[str, Any]) -> Iterator[Change]:
        yield path, _NOTHING[kind]
        if kind == "objectcomprehension":
            yield (*path, "value"), {**value, "key": value["value"], "value": value["key"]}
        else:
            yield (
                path,
                {
                    "type": "setcomprehension" if kind == "arraycomprehension" else "arraycomprehension",
                    "value": value,
                },
            )
        for name in ("term", "key", "value"):
            if name in value:
                yield from self.term((*path, "value", name), value[name])
        yield from self.body((*path, "value", "body"), value["body"])


def _constants(kind: str, value: Any) -> Iterator[dict[str, Any]]:
    if kind == "string":
        yield {"type": "string", "value": f"{value}~"}
        if value:
            yield {"type": "string", "value": ""}
    elif kind == "number":
        for other in (value + 1, value - 1):
            yield {"type": "number", "value": other}
    elif kind == "boolean":
        yield {"type": "boolean", "value": not value}
    else:
        yield {"type": "object", "value": []}
        yield {"type": "string", "value": ""}


def _symbols(tree: Any) -> Iterator[dict[str, Any]]:
    """Yield each declaration of `some ... in`."""
    if isinstance(tree, dict):
        for symbol in tree.get("symbols", ()):
            if symbol["type"] == "call":
                yield symbol
        for value in tree.values():
            yield from _symbols(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _symbols(value)


def _bound(rule: dict[str, Any]) -> set[str]:
    """Return the variables that a rule's arguments, `:=` and `some` bind."""
    names = {argument["value"] for argument in rule["head"].get("args", ()) if argument["type"] == "var"}
    for symbol in _symbols(rule):
        names |= {name["value"] for name in symbol["value"][1:-1] if name["type"] == "var"}
    names |= set(_assigned(rule))
    return {name for name in names if not name.startswith("$")}


def _assigned(tree: Any) -> Iterator[str]:
    if isinstance(tree, dict):
        terms = tree.get("terms")
        if isinstance(terms, list) and operator(terms[0]) == "assign":
            target = terms[1]
            names = target["value"] if target["type"] == "array" else [target]
            yield from (name["value"] for name in names if name["type"] == "var")
        for value in tree.values():
            yield from _assigned(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _assigned(value)
