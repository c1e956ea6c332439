"""The Rego side: mutants of the committed modules, judged by `opa test` and by the vectors.

A mutant is written into a copy of the modules and their tests. If `opa test` passes there, the vectors follow: each
case through `decision`, `allow`, `decisions` and `answer`, all in one `opa eval`; and if these pass, through its Wasm
build.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final

from conformance.committed_vectors import all_cases, shown
from mutation.mutants import Mutant, Slice, Verdict
from mutation.rego_mutants import functions_of, mutants, sets_of
from mutation.rego_text import bare, module_text

from bridge.engines.wasm_pool import Pool
from bridge.errors import BridgeError
from bridge.policy import PolicySettings
from bridge.store import layout
from bridge.strict_json import encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from conformance.committed_vectors import PolicyCase

RULES: Final = "rego/jwt_policy"
_SECONDS: Final = 120
_ONE_CORE: Final = {"GOMAXPROCS": "1", "GOGC": "800"}  # others run beside it, and none lives long
_PASSES, _FAILS = 0, 2  # `opa test` ends with 1 where something does not compile

_JUDGE: Final = """package mutation_judge

# The settings are the mutant's own where a case has the default ones.
_settings(case) := data.jwt_policy.settings if case.settings == null
else := {
    "claim": case.settings.claim,
    "types": {type | some type in case.settings.types},
    "require_policy": case.settings.require_policy,
    "versions": {version | some version in case.settings.versions},
    "fingerprint": "",
}

decisions := [answer |
    some case in input.cases
    answer := data.jwt_policy.decision with input as case.input with data.jwt_policy_data as case.stored
        with data.jwt_policy.settings as _settings(case)
]

verdicts := [answer |
    some case in input.cases
    answer := data.jwt_policy.allow with input as case.input with data.jwt_policy_data as case.stored
        with data.jwt_policy.settings as _settings(case)
]

batches := [answer |
    some case in input.cases
    answer := data.jwt_policy.decisions with input as case.batch with data.jwt_policy_data as case.stored
        with data.jwt_policy.settings as _settings(case)
]

answers := [answer |
    some case in input.cases
    answer := data.jwt_policy.answer.decisions with input as case.batch with data.jwt_policy_data as case.stored
        with data.jwt_policy.settings as _settings(case)
]
"""


class RegoSide:
    """Makes and judges the mutants of the committed modules.

    Args:
        root: The tree's root.
        folder: An empty folder to work in.
        opa: The `opa` that judges.
        jobs: How many mutants are judged at a time.
    """

    name: Final = "rego"

    def __init__(self, root: Path, folder: Path, opa: Path, jobs: int) -> None:
        self.opa = str(opa)
        self.jobs = jobs
        self._copies: SimpleQueue[Path] = SimpleQueue()
        for number in range(jobs):
            copy = folder / str(number)
            shutil.copytree(root / RULES, copy / RULES, ignore=shutil.ignore_patterns("*.wasm"))
            self._copies.put(copy)
        self._vectors = Vectors(folder)
        self.modules = {
            str(path.relative_to(root)): self._parsed(path)
            for path in sorted((root / RULES).rglob("*.rego"))
            if not path.name.endswith("_test.rego")
        }

    def check(self, candidates: Sequence[Mutant]) -> None:
        """Check that the judges pass the unchanged modules, and that OPA reads their printed text as the same tree."""
        if not candidates:
            return
        copy = self._copies.get()
        for file, module in self.modules.items():
            path = copy / file
            kept = path.read_text(encoding="utf-8")
            path.write_text(module_text(module), encoding="utf-8")
            if bare(self._parsed(path)) != bare(module):
                raise AssertionError(f"{file}: OPA reads something else in what was printed of it")
            path.write_text(kept, encoding="utf-8")
        if (verdict := self._judged(copy, "jwt_policy")) is not Verdict.SURVIVED:
            raise AssertionError(f"the rules as they are do not pass what judges the mutants: {verdict}")
        self._copies.put(copy)

    def makes(self, file: str) -> bool:
        """Return whether this side makes the file's mutants."""
        return file.endswith(".rego")

    def mutants(self, wanted: Slice) -> list[Mutant]:
        """Return the mutants of the slice's files."""
        packages = {file.rsplit("/", 2)[1]: functions_of(module) for file, module in self.modules.items()}
        sets = set().union(*map(sets_of, self.modules.values()))
        made: list[Mutant] = []
        for file, module in self.modules.items():
            if file not in wanted:
                continue
            made += mutants(file, module, packages | {"": functions_of(module)}, sets)
        return made

    def judge(self, candidates: Iterable[Mutant]) -> Iterator[tuple[Mutant, Verdict]]:
        """Judge the mutants, and each that timed out once more, alone."""
        again: list[Mutant] = []
        with ThreadPoolExecutor(self.jobs) as pool:
            for mutant, verdict in pool.map(self._one, candidates):
                if verdict is Verdict.TIMED_OUT:
                    again.append(mutant)
                else:
                    yield mutant, verdict
        for mutant in again:
            _, verdict = self._one(mutant)
            yield mutant, Verdict.SUSPICIOUS if verdict is Verdict.SURVIVED else verdict

    def _one(self, mutant: Mutant) -> tuple[Mutant, Verdict]:
        copy = self._copies.get()
        path = copy / mutant.key.file
        kept = path.read_text(encoding="utf-8")
        try:
            path.write_text(mutant.text, encoding="utf-8")
            return mutant, self._judged(copy, path.stem)
        except subprocess.TimeoutExpired:
            return mutant, Verdict.TIMED_OUT
        finally:
            path.write_text(kept, encoding="utf-8")
            self._copies.put(copy)

    def _judged(self, copy: Path, module: str) -> Verdict:
        rules = str(copy / RULES)
        # Most mutants are killed by the tests of their own module, which take a fraction of the time of all.
        # A test may take as long as all of them: else OPA ends one after 5 s, which a busy machine alone can come to.
        test = ("test", f"--timeout={_SECONDS}s", rules)
        status = self._run(*test, "--run", rf"\.{module}_test\.").returncode
        if status == _PASSES:
            status = self._run(*test).returncode
        if status == _PASSES:
            return Verdict.SURVIVED if self._passes_vectors(rules) and self._passes_in_wasm(copy) else Verdict.KILLED
        if status != _FAILS and self._run("check", rules, "--ignore=*_test.rego").returncode:
            return Verdict.NO_MUTANT
        return Verdict.KILLED

    def _passes_vectors(self, rules: str) -> bool:
        # Strict: the rules ask no built-in what it cannot answer, so that no client's setting changes a decision.
        done = self._run(
            "eval", "--strict-builtin-errors", "--format=raw", "--data", rules,
            "--data", self._vectors.judge, "--input", self._vectors.input, "data.mutation_judge",
        )  # fmt: skip
        return done.returncode == 0 and shown(json.loads(done.stdout)) == self._vectors.wanted

    def _passes_in_wasm(self, copy: Path) -> bool:
        """Return whether the Wasm build passes: it implements Rego differently, for example sets without an order."""
        bundle = copy / "bundle.tar.gz"
        entrypoints = [f"--entrypoint=jwt_policy/{name}" for name in ("decision", "decisions")]
        modules = [str(copy / file) for file in self.modules]
        self._run("build", "--target=wasm", *entrypoints, "--output", str(bundle), *modules, check=True)
        with tarfile.open(bundle) as members:
            file = members.extractfile("/policy.wasm")
            assert file is not None
            policy = Pool(file.read(), _SECONDS)
        try:
            return all(
                shown(policy.evaluate(f"jwt_policy/{name}", text)) == wanted
                for name, text, wanted in self._vectors.for_wasm
            )
        except BridgeError:
            return False
        finally:
            policy.close()

    def _parsed(self, path: Path) -> Any:
        return json.loads(self._run("parse", "--format=json", str(path), check=True).stdout)

    def _run(self, *arguments: str, check: bool = False) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [self.opa, *arguments], capture_output=True, check=check, timeout=_SECONDS, env=os.environ | _ONE_CORE
        )


class Vectors:
    """The vectors as one input, and the expected output."""

    def __init__(self, folder: Path) -> None:
        cases = [case for case in all_cases() if case.is_accepted]
        judge, text = folder / "judge.rego", folder / "cases.json"
        judge.write_text(_JUDGE, encoding="utf-8")
        text.write_bytes(b'{"cases":[' + b",".join(map(_judge_case, cases)) + b"]}")
        self.judge, self.input = str(judge), str(text)
        self.for_wasm = [
            question
            for case in cases
            if case.settings == PolicySettings() and not any(case.stored.values())
            for question in _for_wasm(case)
        ]
        self.wanted = shown(
            {
                "decisions": [case.expected for case in cases],
                "verdicts": [case.expected["allow"] for case in cases],
                "batches": [_wanted(case) if _has_item(case) else [] for case in cases],
                "answers": [_wanted(case) if _has_item(case) else [case.expected] for case in cases],
            }
        )


def _has_item(case: PolicyCase) -> bool:
    request = case.request()
    return case.input is None and (request.resource or request.id) is not None


def _for_wasm(case: PolicyCase) -> Iterator[tuple[str, bytes, str]]:
    yield "decision", _single(case), shown(case.expected)
    if _has_item(case):
        yield "decisions", _batch(case), shown(_wanted(case))


def _wanted(case: PolicyCase) -> list[object]:
    return [case.expected, case.expected]


def _single(case: PolicyCase) -> bytes:
    return case.request().text if case.input is None else case.input


def _batch(case: PolicyCase) -> bytes:
    """Return the request twice in a batch; text that is no request stays as it is."""
    if not _has_item(case):
        return _single(case)
    request = case.request()
    members = request._replace(resource=None, id=None).text[1:-1]
    name, item = (b"ids", request.id) if request.resource is None else (b"resources", request.resource)
    assert item is not None
    return b'{%b%b"%b":[%b,%b]}' % (members, members and b",", name, item, item)


def _judge_case(case: PolicyCase) -> bytes:
    """Return the JSON text of a case for the judge."""
    stored: dict[str, dict[str, bytes]] = {}
    for (type_, id_), text in case.stored.items():
        if text is not None:
            stored.setdefault(type_, {})[id_] = text
    settings = case.settings
    chosen = {
        "claim": settings.claim,
        "types": list(settings.types),
        "require_policy": settings.require_policy,
        "versions": sorted(settings.versions),
    }
    return b'{"input":%b,"batch":%b,"stored":%b,"settings":%b}' % (
        _single(case),
        _batch(case),
        _data(stored),
        encode(None if settings == PolicySettings() else chosen),
    )


def _data(stored: dict[str, dict[str, bytes]]) -> bytes:
    types = (
        encode(type_) + b":" + layout.document({encode(id_): text for id_, text in held.items()})
        for type_, held in stored.items()
    )
    return b"{" + b",".join(types) + b"}"
