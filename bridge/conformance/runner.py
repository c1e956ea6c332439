"""The run of the vectors: a row for each file, and each case whose answer differs from the expected one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bridge.conformance.case_queries import CaseQuery, as_they_stand, by_id, groups
from bridge.conformance.targets import TargetFactory
from bridge.conformance.token_cases import TokenCase, token_cases
from bridge.conformance.vectors import PolicyCase, cases, shown
from bridge.errors import MalformedInputError, UsageError

_WHOLE_REQUEST: Final = ("claims", "type", "resource", "id")


@dataclass(frozen=True, slots=True)
class Row:
    """The results of the cases of one file.

    Attributes:
        file: The file's name, without its ending.
        passed: The number of cases whose answer was the expected one, by every strategy.
        differing: The number of cases with another answer.
        not_run: The number of cases that could not be run.
    """

    file: str
    passed: int
    differing: int
    not_run: int

    @property
    def cases(self) -> int:
        """Return the number of all cases."""
        return self.passed + self.differing + self.not_run


@dataclass(frozen=True, slots=True)
class VectorDifference:
    """An answer that differs from the expected one of a case.

    Attributes:
        file: The case's file, without its ending.
        name: The case.
        rules: The rules that it is about.
        strategies: How it was run.
        expected: The expected answer, in JSON.
        actual: The actual answer, in JSON.
    """

    file: str
    name: str
    rules: tuple[str, ...]
    strategies: tuple[str, ...]
    expected: str
    actual: str


@dataclass(slots=True)
class Report:
    """The result of a run.

    Attributes:
        rows: A row for each file, in their order.
        differences: The differences, in the order of files and cases.
        left_out: The reasons why cases were not run, with the number of cases.
        query_count: The number of queries to the engine.
    """

    rows: list[Row] = field(default_factory=list)
    differences: list[VectorDifference] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    query_count: int = 0

    @property
    def total(self) -> Row:
        """Return a row for all files."""
        passed, differing, not_run = (
            sum(getattr(row, name) for row in self.rows) for name in ("passed", "differing", "not_run")
        )
        return Row("all", passed, differing, not_run)


class _Answers:
    """The answers to the cases of one file."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.passed: set[str] = set()
        self.differences: dict[str, dict[tuple[str, str], list[str]]] = {}

    def add(self, name: str, strategy: str, expected: object, actual: object) -> None:
        """Add an answer to a case."""
        texts = shown(expected), shown(actual)
        if texts[0] == texts[1]:
            self.passed.add(name)
        else:
            self.differences.setdefault(name, {}).setdefault(texts, []).append(strategy)

    def close(self, cases_: Sequence[PolicyCase | TokenCase], report: Report) -> None:
        """Add the results to the report."""
        for case in cases_:
            for (expected, actual), strategies in self.differences.get(case.name, {}).items():
                named = tuple(dict.fromkeys(strategies))
                report.differences.append(VectorDifference(self.file, case.name, case.rules, named, expected, actual))
        passed, differing = len(self.passed - self.differences.keys()), len(self.differences)
        not_run = len(cases_) - passed - differing
        report.rows.append(Row(self.file, passed, differing, not_run))


def run_policies(
    files: Sequence[Path], target_of: TargetFactory, report: Report, done: Callable[[int], None] = lambda _: None
) -> None:
    """Run the vectors about decisions.

    Args:
        files: The files.
        target_of: Returns the target for given settings.
        report: The report to add to.
        done: Called with the number of cases that are done.

    Raises:
        EngineError: The engine failed.
        UsageError: A file is malformed.
    """
    for path in files:
        file_cases = cases(path)
        answers = _Answers(path.stem)
        left_out: dict[str, str] = {}
        for case in file_cases:
            if not case.is_accepted:
                answers.add(case.name, "text", _refusal(case.refused), _refusal(_refused(case)))
        for settings, stored, group in groups([*as_they_stand(file_cases), *by_id(file_cases)]):
            target = target_of(settings)
            queries: list[CaseQuery] = []
            for query in group:
                why = target if isinstance(target, str) else target.left_out(query)
                if why is None:
                    queries.append(query)
                else:
                    left_out.setdefault(query.case.name, why)
            report.query_count += len(queries)
            if not isinstance(target, str) and queries:
                for outcome in target.ask(stored, queries):
                    answers.add(outcome.query.case.name, outcome.strategy, outcome.expected, outcome.actual)
        report.left_out.update(
            why for name, why in left_out.items() if name not in answers.passed and name not in answers.differences
        )
        answers.close(file_cases, report)
        done(len(file_cases))


def run_tokens(files: Sequence[Path], report: Report, done: Callable[[int], None] = lambda _: None) -> None:
    """Run the vectors about tokens on the bridge's verifier; arguments and errors as for `run_policies`."""
    for path in files:
        file_cases = token_cases(path)
        answers = _Answers(f"{path.parent.name}/{path.stem}")
        for case in file_cases:
            answers.add(case.name, "verifier", case.expected, case.outcome())
        answers.close(file_cases, report)
        done(len(file_cases))


def require_distinct_names(policies: Sequence[Path], tokens: Sequence[Path]) -> None:
    """Read all files, and refuse two cases with one name.

    Raises:
        UsageError: Two cases have one name, or a file is malformed.
    """
    for files, read in ((policies, cases), (tokens, token_cases)):
        known: dict[str, Path] = {}
        for path in files:
            for case in read(path):
                other = known.setdefault(case.name, path)
                if other != path:
                    raise UsageError(f"`{path}`: case `{case.name}`: `name`: a case of `{other}` has it: rename one")


def _refused(case: PolicyCase) -> tuple[str, str] | None:
    """Return the rule that a text of the case breaks, and which text."""
    for what in _WHOLE_REQUEST:
        try:
            case.canonical(what)
        except MalformedInputError as error:
            return error.rule, what
    return None


def _refusal(refused: tuple[str, str] | None) -> str:
    return "accepted" if refused is None else f"{refused[1]} refused by {refused[0]}"
