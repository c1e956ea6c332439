"""`jwt-bridge decide`: answer many questions in JSON Lines."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer

from bridge.checks import batches
from bridge.cli.decide_lines import DecideLine, MalformedLine, answer_line, read_line
from bridge.cli.exit import Exit, end, reported_errors
from bridge.cli.input_files import STDIN, chunks_of_lines, open_stdin
from bridge.cli.options import EngineName, EngineOption, OpaOptions, refuse_opa_options
from bridge.cli.temporary_rules import temporary_engine
from bridge.cli.terminal import line_counter, print_error
from bridge.decision import Decision, Request
from bridge.engines import Engine, ReferenceEngine, WasmEngine
from bridge.errors import EngineError, UsageError
from bridge.resource import InvalidResource, parse_resource
from bridge.strict_json import encode

_BLANK: Final = b" \t\r"
_MAX_LINES: Final = 1_000
_MAX_BYTES: Final = 8 * 1024 * 1024


def decide(
    context: typer.Context,
    file: Annotated[
        Path | None,
        typer.Argument(help="A file of JSON Lines; `-` or nothing reads standard input.", show_default=False),
    ] = None,
    *,
    engine: EngineOption = EngineName.WASM,
    stored: Annotated[
        bool,
        typer.Option("--stored", help="Push the resources first, and query them by id; the answers are the same."),
    ] = False,
    opa: OpaOptions,
) -> None:
    """Decide many questions, one per line.

    Each line is an object with `claims`, `type` and `resource`, and optionally `case`, a text that is copied to the
    answer. The answers have the same order, one line of JSON each: `allow`, `reason`, and `violations` or `failures`
    if there are any. The answer to a malformed line is `malformed_input` with an `error`.

    With `--engine opa` the command uploads the default rules to temporary roots, and removes them afterwards: an empty
    OPA server is enough, and the command neither uses nor changes what the server has already.

    Exit status: 0 if every line was answered, 2 for a usage error, 3 if the engine failed: the answers before the
    failure are written, and the error names the first line without one.

    Examples:
      jwt-bridge decide questions.jsonl > answers.jsonl
    """
    with reported_errors(), _open_descriptor(file) as descriptor:
        refuse_opa_options(context, engine)
        if sys.stdout is None:
            raise UsageError("standard output is closed")
        next_line = 1
        has_questions = False
        try:
            with _engine(engine, opa) as decider:
                decide_cases = _StoredDecider(decider) if stored else _InlineDecider(decider)
                with line_counter() as count:
                    for chunk in _chunks(descriptor):
                        next_line = chunk[0][0]
                        has_questions |= _answer(chunk, decide_cases)
                        next_line = chunk[-1][0] + 1
                        count(len(chunk))
        except EngineError as fault:
            end(f"the engine failed, and line {next_line} is the first without an answer: {fault}", Exit.FAULT)
        if next_line > 1 and not has_questions:
            print_error(
                "hint: no line is a JSON object; write one JSON object per line, "
                "not an array, and no object over several lines"
            )


def _chunks(descriptor: int) -> Iterator[list[tuple[int, bytes | None]]]:
    """Yield the lines that are not blank, with their numbers, in chunks of bounded size."""
    number = 0
    for lines in chunks_of_lines(descriptor):
        chunk: list[tuple[int, bytes | None]] = []
        size = 0
        for line in lines:
            number += 1
            if line is None or line.strip(_BLANK):
                chunk.append((number, line))
                size += len(line or b"")
            if len(chunk) == _MAX_LINES or size >= _MAX_BYTES:
                yield chunk
                chunk, size = [], 0
        if chunk:
            yield chunk


def _answer(
    chunk: Iterable[tuple[int, bytes | None]], decide_cases: Callable[[Sequence[DecideLine]], list[Decision]]
) -> bool:
    """Write the answers to a chunk: all of them or, if the engine fails, none.

    Returns:
        Whether at least one of its lines was an object.
    """
    cases = [read_line(number, line) for number, line in chunk]
    decisions = iter(decide_cases([case for case in cases if isinstance(case, DecideLine)]))
    text = b"".join([answer_line(case, None if isinstance(case, MalformedLine) else next(decisions)) for case in cases])
    sys.stdout.buffer.write(text)
    sys.stdout.buffer.flush()
    return any(isinstance(case, DecideLine) or case.is_object for case in cases)


class _InlineDecider:
    """Decides cases with the resource that each of them holds."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __call__(self, cases: Sequence[DecideLine]) -> list[Decision]:
        return self.decide([case.request for case in cases])

    def decide(self, requests: Sequence[Request]) -> list[Decision]:
        return [
            decision for batch in batches(requests, self._engine.batch_bytes) for decision in self._engine.decide(batch)
        ]


class _StoredDecider(_InlineDecider):
    """Pushes the resources of cases first, and queries them by id.

    The store holds an id once per type, so resources that share an id go in several rounds. A malformed resource, or
    one of an unknown type, is not pushed: its case is decided with the resource itself.
    """

    def __call__(self, cases: Sequence[DecideLine]) -> list[Decision]:
        decisions: dict[int, Decision] = {}
        for resources, requests in self._rounds(cases):
            for type_, texts in resources.items():
                self._engine.store.replace(type_, texts)
            decisions |= zip(requests, self.decide(list(requests.values())), strict=True)
        return [decisions[index] for index in range(len(cases))]

    def _rounds(self, cases: Sequence[DecideLine]) -> list[tuple[dict[str, dict[bytes, bytes]], dict[int, Request]]]:
        """Return for each round what to store, by type and id, and the requests, by the index of the case."""
        type_names = {encode(type_): type_ for type_ in self._engine.rule_set.policy.types}
        rounds: list[tuple[dict[str, dict[bytes, bytes]], dict[int, Request]]] = [({}, {})]
        round_of: dict[tuple[bytes, bytes], dict[bytes, int]] = {}
        for index, case in enumerate(cases):
            resource = parse_resource(case.resource)
            type_, text = case.request.type, case.request.resource
            assert type_ is not None
            assert text is not None
            if isinstance(resource, InvalidResource) or type_ not in type_names:
                rounds[0][1][index] = case.request
                continue
            id_ = encode(resource.id)
            numbers = round_of.setdefault((type_, id_), {})
            number = numbers.setdefault(text, len(numbers))
            if number == len(rounds):
                rounds.append(({}, {}))
            rounds[number][0].setdefault(type_names[type_], {})[id_] = text
            rounds[number][1][index] = case.request._replace(resource=None, id=id_)
        return rounds


@contextmanager
def _open_descriptor(file: Path | None) -> Iterator[int]:
    if file is None or file == STDIN:
        yield open_stdin().fileno()
        return
    with file.open("rb", buffering=0) as opened:
        yield opened.fileno()


@contextmanager
def _engine(name: EngineName, opa: OpaOptions) -> Iterator[Engine]:
    if name is not EngineName.OPA:
        yield WasmEngine() if name is EngineName.WASM else ReferenceEngine()
        return
    with opa.client() as client, temporary_engine(client, "decide") as engine:
        yield engine
