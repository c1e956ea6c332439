"""A strict JSON parser that reads token by token and reports the place of each mistake.

This is the definition of which text is accepted (R12.1-R12.5); `decode` returns the same values faster. It keeps its
own stack, so nesting costs memory only, and it reads each character a bounded number of times.
"""

from __future__ import annotations

import re
from json import JSONDecodeError
from json.decoder import scanstring  # type: ignore[attr-defined] # the typeshed leaves it out
from typing import Final

from bridge.errors import MalformedInputError
from bridge.escapes import shown
from bridge.strict_json import numbers
from bridge.strict_json.values import ABSENT, Absent, Value

SURROGATE: Final = re.compile("[\ud800-\udfff]")
_SPACE: Final = re.compile(r"[ \t\n\r]*")
_WORDS: Final[dict[str, Value]] = {"true": True, "false": False, "null": None}
_WORD: Final = re.compile(r"[A-Za-z_$]+")
_SHOWN: Final = 40
_LENIENT_DEPTH: Final = 256


def scan(text: str, *, max_depth: int) -> Value:
    """Return the value of a text.

    Raises:
        MalformedInputError: R12.1-R12.5, with line and column.
    """
    return _Scanner(text, max_depth).document()


def scan_leniently(text: str) -> Value | Absent:
    """Return the value of a text that is JSON but may break R12.2-R12.5, or ABSENT if it is not JSON.

    It tells which line was refused; no decision depends on it. The last of duplicate members counts, and numbers are
    read as null. A text that is nested very deep is ABSENT as well: each bracket costs a hundred times its size.
    """
    try:
        return _LenientScanner(text, _LENIENT_DEPTH).document()
    except MalformedInputError:
        return ABSENT


class _Scanner:
    """A parser of one text; `at` is the offset of the next character."""

    def __init__(self, text: str, max_depth: int) -> None:
        self.text = text
        self.max_depth = max_depth
        self.at = 0

    def document(self) -> Value:
        if self.text.startswith("\ufeff"):
            raise self.refusal("a byte order mark: save the text as UTF-8 without one", "R12.1", 0)
        value = self.value()
        self.space()
        if self.at < len(self.text):
            raise self.refusal(f"text after the end of the JSON value: {self.shown()}", "R12.1")
        return value

    def value(self) -> Value:
        """Return one value; the loop fills the containers, of which `open_` has the innermost last."""
        open_: list[tuple[list[Value] | dict[str, Value], str]] = []
        while True:
            self.space()
            start = self.at
            char = self.text[start : start + 1]
            done: Value
            if char in ("[", "{"):
                if len(open_) == self.max_depth:
                    raise self.refusal(f"nested more than {self.max_depth} deep", "R12.4")
                self.at += 1
                container: list[Value] | dict[str, Value] = [] if char == "[" else {}
                self.space()
                if not self.taken("]" if char == "[" else "}"):
                    open_.append((container, "" if char == "[" else self.name({})))
                    continue
                done = container
            else:
                done = self.scalar(char)
            # A complete value goes into its container; a bracket after it closes the container.
            while True:
                if not open_:
                    return done
                container, name = open_[-1]
                if isinstance(container, dict):
                    container[name] = done
                else:
                    container.append(done)
                self.space()
                if self.taken(","):
                    self.space()
                    if isinstance(container, dict):
                        open_[-1] = (container, self.name(container))
                    break
                closing = "}" if isinstance(container, dict) else "]"
                if not self.taken(closing):
                    raise self.refusal(f"expected `,` or `{closing}`, found {self.shown()}", "R12.1")
                open_.pop()
                done = container

    def name(self, members: dict[str, Value]) -> str:
        """Read a member's name and the colon after it."""
        start = self.at
        if self.text[start : start + 1] != '"':
            raise self.refusal(f"expected a member name in double quotes, found {self.shown()}", "R12.1")
        name = self.string()
        if name in members:
            self.duplicate(name, start)
        self.space()
        if not self.taken(":"):
            raise self.refusal(f"expected `:`, found {self.shown()}", "R12.1")
        return name

    def scalar(self, char: str) -> Value:
        if char == '"':
            return self.string()
        match = numbers.NUMBER.match(self.text, self.at)
        if match:
            start, self.at = self.at, match.end()
            return self.number(match.group(), start)
        word = _WORD.match(self.text, self.at)
        if word and word.group() in _WORDS:
            self.at = word.end()
            return _WORDS[word.group()]
        raise self.refusal(f"expected a JSON value, found {self.shown()}", "R12.1")

    def string(self) -> str:
        start = self.at
        value: str
        try:
            value, self.at = scanstring(self.text, start + 1, True)  # noqa: FBT003 - strict: no raw control characters
        except JSONDecodeError as error:
            raise self.refusal(_lowered(error.msg), "R12.1", error.pos) from None
        if not value.isascii() and SURROGATE.search(value):
            self.surrogate(start)
        return value

    def number(self, text: str, start: int) -> Value:
        try:
            return numbers.read(text)
        except numbers.NumberError as error:
            raise self.refusal(str(error), "R12.5", start) from None

    def duplicate(self, name: str, start: int) -> None:
        cut = name if len(name) <= _SHOWN else name[:_SHOWN] + "..."
        raise self.refusal(f"duplicate member `{shown(cut)}`", "R12.2", start)

    def surrogate(self, start: int) -> None:
        raise self.refusal("a string with an unpaired surrogate", "R12.3", start)

    def space(self) -> None:
        match = _SPACE.match(self.text, self.at)
        assert match
        self.at = match.end()

    def taken(self, char: str) -> bool:
        """Read `char` if it comes next, and return whether it did."""
        if self.text.startswith(char, self.at):
            self.at += 1
            return True
        return False

    def shown(self) -> str:
        rest = self.text[self.at : self.at + 1]
        if not rest:
            return "the end of the text"
        word = _WORD.match(self.text[self.at : self.at + _SHOWN])
        token = word.group() if word else rest
        return f"`{token}`" if token.isprintable() else f"U+{ord(token):04X}"

    def refusal(self, cause: str, rule: str, at: int | None = None) -> MalformedInputError:
        at = self.at if at is None else at
        return MalformedInputError(
            cause,
            rule=rule,
            line=self.text.count("\n", 0, at) + 1,
            column=at - self.text.rfind("\n", 0, at),
        )


class _LenientScanner(_Scanner):
    def number(self, text: str, start: int) -> Value:
        del text, start
        return None

    def duplicate(self, name: str, start: int) -> None:
        pass

    def surrogate(self, start: int) -> None:
        pass


def _lowered(message: str) -> str:
    """Return the decoder's message in this project's style."""
    return message[:1].lower() + message[1:].removesuffix(" at").removesuffix(" starting")
