"""The vectors, run: a row for each file, and each case that was answered otherwise than it wants."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bridge.conformance.case_queries import as_they_stand, by_id, groups
from bridge.conformance.token_cases import token_cases
from bridge.conformance.vectors import cases, shown
from bridge.errors import MalformedInputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from bridge.conformance.case_queries import Query
    from bridge.conformance.targets import TargetFactory
    from bridge.conformance.token_cases import TokenCase
    from bridge.conformance.vectors import PolicyCase

_WHOLE_REQUEST: Final = ("claims", "type", "resource", "id")


@dataclass(frozen=True, slots=True)
class Row:
    """What became of the cases of one file.

    Attributes:
        file: The file's name, without its ending.
        passed: How many cases were answered as they want, in every way that they were asked.
        differing: How many were not.
        not_run: How many could not be asked.
    """

    file: str
    passed: int
    differing: int
    not_run: int

    @property
    def cases(self) -> int:
        """All of them."""
        return self.passed + self.differing + self.not_run


@dataclass(frozen=True, slots=True)
class Difference:
    """An answer that is another one than a case wants.

    Attributes:
        file: The case's file, without its ending.
        name: The case.
        rules: The rules that it is about.
        strategies: How it was asked.
        expected: The answer that it wants, in JSON.
        actual: The one that was actual, in JSON.
    """

    file: str
    name: str
    rules: tuple[str, ...]
    strategies: tuple[str, ...]
    expected: str
    actual: str


@dataclass(slots=True)
class Report:
    """What a run found.

    Attributes:
        rows: A row for each file, in their order.
        differences: In the order of files and cases.
        left_out: Why cases were not run, and how many.
        asked: How many questions the engine was asked.
    """

    rows: list[Row] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    asked: int = 0

    @property
    def total(self) -> Row:
        """A row for all files."""
        passed, differing, not_run = (
            sum(getattr(row, name) for row in self.rows) for name in ("passed", "differing", "not_run")
        )
        return Row("all", passed, differing, not_run)


class _Seen:
    """What was seen of the cases of one file."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.passed: set[str] = set()
        self.found: dict[str, dict[tuple[str, str], list[str]]] = {}

    def saw(self, name: str, strategy: str, expected: object, actual: object) -> None:
        """One answer to a case."""
        texts = shown(expected), shown(actual)
        if texts[0] == texts[1]:
            self.passed.add(name)
        else:
            self.found.setdefault(name, {}).setdefault(texts, []).append(strategy)

    def close(self, cases_: Sequence[PolicyCase | TokenCase], report: Report) -> None:
        """Report what became of them."""
        for case in cases_:
            for (expected, actual), strategies in self.found.get(case.name, {}).items():
                named = tuple(dict.fromkeys(strategies))
                report.differences.append(Difference(self.file, case.name, case.rules, named, expected, actual))
        passed, differing = len(self.passed - self.found.keys()), len(self.found)
        not_run = len(cases_) - passed - differing
        report.rows.append(Row(self.file, passed, differing, not_run))


def run_policies(
    files: Sequence[Path], subject_of: TargetFactory, report: Report, done: Callable[[int], None] = lambda _: None
) -> None:
    """Run the vectors about decisions.

    Args:
        files: The files.
        subject_of: What is asked, by settings.
        report: Where the outcome goes.
        done: Told how many cases are done.

    Raises:
        EngineError: The engine failed.
        UsageError: A file is malformed.
    """
    for path in files:
        found = cases(path)
        seen = _Seen(path.stem)
        left_out: dict[str, str] = {}
        for case in found:
            if not case.is_accepted:
                seen.saw(case.name, "text", _refusal(case.refused), _refusal(_refused(case)))
        for settings, stored, group in groups([*as_they_stand(found), *by_id(found)]):
            subject = subject_of(settings)
            asked: list[Query] = []
            for question in group:
                why = subject if isinstance(subject, str) else subject.left_out(question)
                if why is None:
                    asked.append(question)
                else:
                    left_out.setdefault(question.case.name, why)
            report.asked += len(asked)
            if not isinstance(subject, str) and asked:
                for outcome in subject.ask(stored, asked):
                    seen.saw(outcome.question.case.name, outcome.strategy, outcome.expected, outcome.actual)
        report.left_out.update(
            why for name, why in left_out.items() if name not in seen.passed and name not in seen.found
        )
        seen.close(found, report)
        done(len(found))


def run_tokens(files: Sequence[Path], report: Report, done: Callable[[int], None] = lambda _: None) -> None:
    """Run the vectors about tokens on the bridge's verifier; arguments and errors as for `run_policies`."""
    for path in files:
        found = token_cases(path)
        seen = _Seen(f"{path.parent.name}/{path.stem}")
        for case in found:
            seen.saw(case.name, "verifier", case.expected, case.outcome())
        seen.close(found, report)
        done(len(found))


def require_distinct_names(policies: Sequence[Path], tokens: Sequence[Path]) -> None:
    """Read all files, and refuse two cases of one name.

    Raises:
        UsageError: There are such, or a file is malformed.
    """
    for files, read in ((policies, cases), (tokens, token_cases)):
        known: dict[str, Path] = {}
        for path in files:
            for case in read(path):
                other = known.setdefault(case.name, path)
                if other != path:
                    raise UsageError(f"`{path}`: case `{case.name}`: `name`: a case of `{other}` has it")


def _refused(case: PolicyCase) -> tuple[str, str] | None:
    """The rule that a case's texts break, and which of them."""
    for what in _WHOLE_REQUEST:
        try:
            case.canonical(what)
        except MalformedInputError as error:
            return error.rule, what
    return None


def _refusal(refused: tuple[str, str] | None) -> str:
    return "accepted" if refused is None else f"{refused[1]} refused by {refused[0]}"
