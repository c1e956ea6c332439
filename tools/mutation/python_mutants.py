"""Mutants of Python: mutmut's operators and our own, on every node of a module.

mutmut's own walk leaves out what its trampolines cannot hold: constants and tables of a module, decorated functions and
properties, the arguments of `len` and `isinstance`. Here every expression is visited, with what mutmut does to it
(numbers, strings, operators, arguments, assignments) and what it does not: conditions decided and negated, operands and
elements taken away, statements skipped, calls undone, bounds of slices dropped, regular expressions changed at each
character, and times taken anew where they are used, rather than where they were noted.

Left alone are texts for people, which no rule is about (but not what is put into them); types, which have no effect;
imports; and `assert`, which tells mypy what the lines above it have made sure.
"""

from __future__ import annotations

import contextlib
import re
import warnings
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import libcst as cst
from libcst.metadata import MetadataWrapper, WhitespaceInclusivePositionProvider
from mutation.mutants import Mutant, keyed
from mutmut.mutation import mutators

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from libcst.metadata import CodeRange

Change: TypeAlias = tuple[cst.CSTNode, cst.CSTNode | None]
"""A node and its replacement; None removes the node."""

_OF_CALLS: Final = (mutators.operator_arg_removal,)
_KEPT_CALLS: Final = frozenset(("isinstance", "len", "type", "dataclass", "field", "cast", "super"))
"""Calls that need their arguments, or fail without them in any test: only the arguments are changed."""

_EXCHANGED: Final = {
    "all": ("any",),
    "any": ("all",),
    "max": ("min",),
    "min": ("max",),
    "match": ("fullmatch", "search"),
    "fullmatch": ("match", "search"),
    "search": ("match",),
    "startswith": ("endswith",),
    "endswith": ("startswith",),
    "isdisjoint": ("issuperset",),
    "int": ("float",),
    "keys": ("values",),
    "values": ("keys",),
}
_ORDERLESS: Final = frozenset(("max", "min"))
_CLOCKS: Final = frozenset(("clock", "_clock", "monotonic", "_now"))
_WORDS: Final = re.compile(r"\w[`'.,:;]* +[`({]?\w")
_SAME_IN_CAPITALS: Final = re.compile(r"utf-8|ascii|unicode_escape|-?[0-9.]+e-?[0-9]+", re.IGNORECASE)
_TRUE: Final = cst.Name("True")
_FALSE: Final = cst.Name("False")


def mutants(file: str, text: str) -> Iterator[Mutant]:
    """Yield all mutants of a Python file."""
    wrapper = MetadataWrapper(cst.parse_module(text), unsafe_skip_copy=True)
    walk = _Walk()
    wrapper.module.visit(walk)
    places = wrapper.resolve(WhitespaceInclusivePositionProvider)
    return keyed(file, text, _written(text, walk.changes, places))


def _written(
    text: str, changes: list[tuple[str, bool, Change]], places: Mapping[cst.CSTNode, CodeRange]
) -> Iterator[tuple[str, str, bool]]:
    lines = text.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    empty = cst.Module([])
    for within, in_function, (old, new) in changes:
        place = places[old]
        start = starts[place.start.line - 1] + place.start.column
        end = starts[place.end.line - 1] + place.end.column
        mutated = text[:start] + ("" if new is None else empty.code_for_node(new)) + text[end:]
        try:
            compile(mutated, "mutant", "exec", dont_inherit=True)
        except (SyntaxError, ValueError):
            continue
        yield within, mutated, in_function


class _Walk(cst.CSTVisitor):
    """Finds each possible change, its function, and whether it is in the function's body."""

    def __init__(self) -> None:
        super().__init__()
        self.changes: list[tuple[str, bool, Change]] = []
        self._named: list[cst.FunctionDef | cst.ClassDef] = []
        self._body: cst.CSTNode | None = None
        self._patterns: set[cst.CSTNode] = set()
        self._kept: set[cst.CSTNode] = set()  # a type, and characters that a longer text holds too
        self._times: dict[str, cst.Call] = {}  # the names of times, and how each was taken
        self._names: set[cst.CSTNode] = set()  # names that are no variables' values

    def on_visit(self, node: cst.CSTNode) -> bool:
        if _is_left_alone(node):
            return False
        if self._body is None:
            if isinstance(node, cst.FunctionDef | cst.ClassDef):
                self._named.append(node)
            elif self._named and isinstance(self._named[-1], cst.FunctionDef) and node is self._named[-1].body:
                self._body = node
        if isinstance(node, cst.Call) and _called(node) == "re.compile":
            self._patterns.update(_texts_of(node.args[0].value))
        if isinstance(node, cst.Call) and (_called(node) == "cast" or _called(node).endswith("strip")):
            self._kept.update(argument.value for argument in node.args[:1])
        if isinstance(node, cst.Assign) and _is_clock(node.value) and len(node.targets) == 1:
            self._times[_name(node.targets[0].target)] = cst.ensure_type(node.value, cst.Call)
        if isinstance(node, cst.AssignTarget | cst.AnnAssign):
            self._names.add(node.target)
        if isinstance(node, cst.Attribute):
            self._names.add(node.attr)
        if isinstance(node, cst.Arg) and node.keyword is not None:
            self._names.add(node.keyword)
        within = ".".join(one.name.value for one in self._named)
        self.changes += [(within, self._body is not None, change) for change in self._changes(node)]
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        if original_node is self._body:
            self._body = None
            self._times = {}
        elif self._named and original_node is self._named[-1]:
            self._named.pop()

    def _changes(self, node: cst.CSTNode) -> Iterator[Change]:
        if node in self._patterns or (isinstance(node, cst.SimpleString) and "r" in node.prefix):
            yield from _patterns(node)
            return
        if _is_text(node) or node in self._kept:
            return
        if isinstance(node, cst.Name) and node not in self._names and node.value in self._times:
            yield node, self._times[node.value]
        for kind, operator in mutators.mutation_operators:
            if isinstance(node, kind) and not (operator in _OF_CALLS and _is_kept(node)):
                for new in operator(node):
                    if not _is_the_same(node, new):
                        yield node, new
        for kind, ours in _OURS:
            if isinstance(node, kind):
                yield from ours(node)


def _is_left_alone(node: cst.CSTNode) -> bool:
    if isinstance(node, cst.Annotation | cst.Assert | cst.Import | cst.ImportFrom):
        return True
    if isinstance(node, cst.If):
        return isinstance(node.test, cst.Name) and node.test.value == "TYPE_CHECKING"
    if isinstance(node, cst.SimpleStatementLine):
        (first, *_) = node.body
        if isinstance(first, cst.Expr) and isinstance(first.value, cst.SimpleString | cst.ConcatenatedString):
            return True  # a docstring
        if isinstance(first, cst.Del):
            return True  # an argument that is not used
        if isinstance(first, cst.AnnAssign):
            return first.value is None or _name(first.annotation.annotation) == "TypeAlias"
        if isinstance(first, cst.Assign):
            called = first.value.func if isinstance(first.value, cst.Call) else None
            return _name(first.targets[0].target) == "__all__" or (called is not None and _name(called) == "TypeVar")
    return False


def _called(node: cst.CSTNode) -> str:
    return cst.Module([]).code_for_node(node.func) if isinstance(node, cst.Call) else ""


def _is_clock(node: cst.CSTNode) -> bool:
    """Return whether the node reads a clock."""
    return _called(node).rpartition(".")[2] in _CLOCKS


def _name(node: cst.CSTNode) -> str:
    return node.value if isinstance(node, cst.Name) else ""


def _is_text(node: cst.CSTNode) -> bool:
    """Return whether the node is a text for people: more than one word."""
    if isinstance(node, cst.ConcatenatedString):
        return _is_text(node.left) or _is_text(node.right)
    if isinstance(node, cst.FormattedString):
        return any(isinstance(part, cst.FormattedStringText) and _WORDS.search(part.value) for part in node.parts)
    if isinstance(node, cst.SimpleString):
        value = node.evaluated_value
        return isinstance(value, str) and "r" not in node.prefix and bool(_WORDS.search(value))
    return False


def _is_kept(node: cst.CSTNode) -> bool:
    """Return whether the call needs its arguments, or one of them is a text for people."""
    if not isinstance(node, cst.Call):
        return False
    return _called(node) in _KEPT_CALLS or any(_is_text(argument.value) for argument in node.args)


def _is_the_same(old: cst.CSTNode, new: cst.CSTNode) -> bool:
    """Return whether the change only writes an encoding or a number in capitals."""
    if not isinstance(old, cst.SimpleString) or not isinstance(new, cst.SimpleString):
        return False
    return old.raw_value.lower() == new.raw_value.lower() and bool(_SAME_IN_CAPITALS.fullmatch(old.raw_value))


# Our operators.


def _condition(node: cst.If | cst.CompIf | cst.IfExp) -> Iterator[Change]:
    """Make the condition always true, always false, and negated."""
    test = node.test
    yield test, _TRUE
    yield test, _FALSE
    if not isinstance(test, cst.Comparison | cst.UnaryOperation):  # mutmut turns these round
        yield test, cst.UnaryOperation(cst.Not(), _in_parentheses(test))


def _in_parentheses(node: cst.BaseExpression) -> cst.BaseExpression:
    if isinstance(node, cst.Name | cst.Attribute | cst.Call | cst.Subscript | cst.SimpleString) or node.lpar:
        return node
    return node.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])


def _while(node: cst.While) -> Iterator[Change]:
    yield node.test, _FALSE


def _operands(node: cst.BooleanOperation | cst.BinaryOperation) -> Iterator[Change]:
    yield node, _in_parentheses(node.left)
    yield node, _in_parentheses(node.right)


def _unary(node: cst.UnaryOperation) -> Iterator[Change]:
    if isinstance(node.operator, cst.Minus):
        yield node, node.expression


_REVERSED: Final = {
    cst.LessThan: (cst.GreaterThan, cst.Equal, cst.NotEqual),
    cst.LessThanEqual: (cst.GreaterThanEqual, cst.Equal),
    cst.GreaterThan: (cst.LessThan, cst.Equal, cst.NotEqual),
    cst.GreaterThanEqual: (cst.LessThanEqual, cst.Equal),
    cst.Equal: (cst.LessThanEqual, cst.GreaterThanEqual),
    cst.NotEqual: (cst.LessThan, cst.GreaterThan),
}


def _comparison(node: cst.ComparisonTarget) -> Iterator[Change]:
    # Most things cannot be ordered, and such a mutant dies of a TypeError: only numbers are worth it.
    if isinstance(node.comparator, cst.Integer | cst.Name | cst.Attribute | cst.Call | cst.BinaryOperation):
        for other in _REVERSED.get(type(node.operator), ()):
            yield node, node.with_changes(operator=other())


def _literal(node: cst.Tuple | cst.List | cst.Set) -> Iterator[Change]:
    """Leave out one element at a time."""
    if isinstance(node, cst.Set) and len(node.elements) == 1:
        yield node, cst.parse_expression("set()")
        return
    for at in range(len(node.elements)):
        kept = [*node.elements[:at], *node.elements[at + 1 :]]
        if kept and isinstance(node, cst.Tuple):
            kept[-1] = kept[-1].with_changes(comma=cst.Comma() if len(kept) == 1 else cst.MaybeSentinel.DEFAULT)
        elif not kept and isinstance(node, cst.Tuple) and not node.lpar:
            continue
        new = node.with_changes(elements=kept)
        yield node, _in_parentheses(new) if isinstance(node, cst.Tuple) else new


def _dict(node: cst.Dict) -> Iterator[Change]:
    for at in range(len(node.elements)):
        yield node, node.with_changes(elements=[*node.elements[:at], *node.elements[at + 1 :]])


def _call(node: cst.Call) -> Iterator[Change]:
    """Replace the call by one of its arguments or its object, call a similar function, and swap two arguments."""
    name = _name(node.func.attr if isinstance(node.func, cst.Attribute) else node.func)
    for other in _EXCHANGED.get(name, ()):
        if isinstance(node.func, cst.Attribute):
            yield node, node.with_changes(func=node.func.with_changes(attr=cst.Name(other)))
        else:
            yield node, node.with_changes(func=cst.Name(other))
    if _is_kept(node):
        return
    if isinstance(node.func, cst.Attribute):
        yield node, node.func.value
    for argument in node.args:
        if not argument.star:
            yield node, _in_parentheses(argument.value)
    if (
        len(node.args) == 2
        and name not in _ORDERLESS
        and not any(argument.keyword or argument.star for argument in node.args)
    ):
        one, other_ = node.args
        yield node, node.with_changes(args=[one.with_changes(value=other_.value), other_.with_changes(value=one.value)])


def _line(node: cst.SimpleStatementLine) -> Iterator[Change]:
    """Replace the statement by `pass`."""
    first = node.body[0]
    if isinstance(first, cst.Expr | cst.AugAssign | cst.Raise | cst.Continue | cst.Break):
        yield first, cst.Pass()


def _return(node: cst.Return) -> Iterator[Change]:
    if node.value is not None and _name(node.value) != "None":
        yield node.value, cst.Name("None", lpar=[cst.LeftParen()], rpar=[cst.RightParen()])


def _slice(node: cst.Slice) -> Iterator[Change]:
    for bound in ("lower", "upper", "step"):
        if getattr(node, bound) is not None:
            yield node, node.with_changes(**{bound: None})


def _try(node: cst.Try) -> Iterator[Change]:
    """Leave out one of several handlers, the `else` block, and the `finally` block."""
    if len(node.handlers) > 1:
        for handler in node.handlers:
            yield handler, None
    for part in (node.orelse, node.finalbody if node.handlers else None):
        if part is not None:
            yield part, None


def _number(node: cst.Integer) -> Iterator[Change]:
    if node.evaluated_value > 0:
        yield node, node.with_changes(value=str(node.evaluated_value - 1))


def _decorator(node: cst.Decorator) -> Iterator[Change]:
    yield node, None


def _texts_of(node: cst.BaseExpression) -> Iterator[cst.CSTNode]:
    """Yield the string literals in the expression of a regular expression."""
    if isinstance(node, cst.BinaryOperation):
        yield from _texts_of(node.left)
        if isinstance(node.operator, cst.Add):
            yield from _texts_of(node.right)
    elif isinstance(node, cst.FormattedString):
        yield from (part for part in node.parts if isinstance(part, cst.FormattedStringText))
    elif isinstance(node, cst.SimpleString):
        yield node


def _patterns(node: cst.CSTNode) -> Iterator[Change]:
    """Leave out one character of the regular expression at a time, and exchange its quantifiers."""
    if isinstance(node, cst.FormattedStringText):  # a part: whether the whole is one is seen when it is imported
        for text in _other_patterns(node.value):
            yield node, node.with_changes(value=text)
        return
    assert isinstance(node, cst.SimpleString)
    opening, closing = node.prefix + node.quote, node.quote
    for text in _other_patterns(node.value[len(opening) : -len(closing)]):
        new = node.with_changes(value=opening + text + closing)
        with warnings.catch_warnings(), contextlib.suppress(re.error, SyntaxError, ValueError, Warning):
            warnings.simplefilter("error")
            re.compile(new.evaluated_value)
            yield node, new


def _other_patterns(text: str) -> Iterator[str]:
    for at, character in enumerate(text):
        yield text[:at] + text[at + 1 :]
        for other in {"*": "+", "+": "*", "?": "*"}.get(character, ""):
            yield text[:at] + other + text[at + 1 :]


_OURS: Final[list[tuple[Any, Callable[[Any], Iterator[Change]]]]] = [
    (cst.If | cst.CompIf | cst.IfExp, _condition),
    (cst.While, _while),
    (cst.BooleanOperation | cst.BinaryOperation, _operands),
    (cst.UnaryOperation, _unary),
    (cst.ComparisonTarget, _comparison),
    (cst.Tuple | cst.List | cst.Set, _literal),
    (cst.Dict, _dict),
    (cst.Call, _call),
    (cst.SimpleStatementLine, _line),
    (cst.Return, _return),
    (cst.Slice, _slice),
    (cst.Try, _try),
    (cst.Integer, _number),
    (cst.Decorator, _decorator),
]
