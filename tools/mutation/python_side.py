"""The Python side: mutants of the modules in `GROUPS`, judged by the tests of their group."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final

from mutation.mutants import Mutant, Slice, Verdict
from mutation.python_mutants import mutants

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


@dataclass(frozen=True, slots=True)
class Group:
    """Modules, and the tests that judge their mutants.

    Attributes:
        name: Its name.
        modules: The modules, as patterns below the tree's root.
        tests: The tests, as patterns too.
        without: Slow tests among these that are about something else, by the beginnings of their names.
        prepared: Calls of cached test helpers (module, name, argument) that a worker makes once for its children.
    """

    name: str
    modules: tuple[str, ...]
    tests: tuple[str, ...]
    without: tuple[str, ...] = field(default=(), kw_only=True)
    prepared: tuple[tuple[str, str, str], ...] = field(default=(), kw_only=True)


_VECTORS: Final = "tools/mutation/judge_vectors.py"
GROUPS: Final = (
    Group(
        "strict_json",
        ("bridge/strict_json/*.py",),
        (
            "tests/unit/strict_json/test_strict_json.py",
            "tests/unit/strict_json/test_numbers.py",
            "tests/unit/strict_json/test_fast_path.py",
            "tests/unit/strict_json/test_json_refusals.py",
            "tests/unit/strict_json/test_fast_json.py",
            "tests/unit/strict_json/test_quick_texts.py",
            "tests/unit/strict_json/test_json_grammar.py",
            "tests/unit/strict_json/test_encodings.py",
            _VECTORS,
        ),
    ),
    Group(
        "decision",
        ("bridge/reference.py", "bridge/policy.py", "bridge/resource.py", "bridge/decision.py"),
        (
            "tests/unit/decision/test_policy.py",
            "tests/unit/decision/test_decision.py",
            "tests/unit/decision/test_errors.py",
            _VECTORS,
        ),
    ),
    Group(
        "tokens",
        ("bridge/tokens/*.py",),
        (
            "tests/unit/tokens/test_jwk.py",
            "tests/unit/tokens/test_key_files.py",
            "tests/unit/tokens/test_key_sets.py",
            "tests/unit/tokens/test_key_urls.py",
            "tests/unit/tokens/test_token_algorithms.py",
            "tests/unit/tokens/test_token_claims.py",
            "tests/unit/tokens/test_token_errors.py",
            "tests/unit/tokens/test_token_keys.py",
            "tests/unit/tokens/test_token_text.py",
            "tests/unit/tokens/test_raw_tokens.py",
            "tests/unit/tokens/test_token_cache.py",
            "tests/unit/tokens/test_token_validity.py",
            "tests/unit/tokens/test_key_set_age.py",
            "tests/unit/tokens/test_wrong_format.py",
            "tests/integration/test_jwks_cache.py",
            "tests/integration/test_jwks_faults.py",
            "tests/integration/test_jwks_tls.py",
        ),
        prepared=tuple(
            ("test_token_keys", "private", key) for key in ("rsa", "rsa-other", "rsa-1024", "rsa-2047", "dsa")
        ),
    ),
    Group(
        "lists",
        ("bridge/listing.py",),
        (
            "tests/unit/client/test_cursor.py",
            "tests/unit/client/test_at_least.py",
            "tests/unit/engines/test_pages.py",
            "tests/unit/client/test_list_requests.py",
            "tests/unit/client/test_immutable_values.py",
        ),
    ),
    Group(
        "answers",
        (
            "bridge/engines/base.py",
            "bridge/engines/codec.py",
            "bridge/engines/decision_codec.py",
            "bridge/engines/protocol.py",
            "bridge/engines/opa_queries.py",
        ),
        (
            "tests/unit/engines/test_codec.py",
            "tests/unit/engines/test_shared_claims.py",
            "tests/unit/engines/test_stored_resources.py",
            "tests/unit/engines/test_details.py",
            "tests/unit/engines/test_pages.py",
            "tests/unit/client/test_list_requests.py",
            "tests/unit/client/test_immutable_values.py",
            "tests/unit/engines/test_protocol.py",
            "tests/unit/engines/test_opa_queries.py",
            "tests/unit/engines/test_store_identity.py",
        ),
    ),
    Group(
        "checks",
        ("bridge/checks.py", "bridge/bearer.py", "bridge/explanation.py", "bridge/steps.py"),
        (
            "tests/unit/client/test_checks.py",
            "tests/unit/client/test_at_least.py",
            "tests/unit/client/test_steps.py",
            "tests/unit/client/test_explanation.py",
            "tests/unit/client/test_immutable_values.py",
            "tests/unit/tokens/test_rules_that_verify_tokens.py",
        ),
    ),
    Group(
        "in_process",
        ("bridge/engines/local_listing.py", "bridge/engines/reference_engine.py"),
        ("tests/unit/engines/test_local_listing.py", "tests/unit/decision/test_reference_engine.py"),
    ),
    Group("wasm_batch", ("bridge/engines/wasm_batch.py",), ("tests/unit/engines/test_wasm_batch.py",)),
    Group(
        "wasm_trimming",
        ("bridge/engines/wasm_trimming.py",),
        ("tests/unit/engines/test_wasm_trimming.py",),
        without=(  # what OPA's Wasm does with what it is sent
            "tests/unit/engines/test_wasm_trimming.py::test_a_question_made_to_be_costly",
            "tests/unit/engines/test_wasm_trimming.py::test_pointers_are_escaped",
            "tests/unit/engines/test_wasm_trimming.py::test_names_of_one_hash",
        ),
    ),
    Group(
        "resource texts",
        tuple(f"bridge/store/{name}.py" for name in ("json_array", "loader", "reader", "sources")),
        (
            "tests/unit/store/test_json_array.py",
            "tests/unit/store/test_resource_texts.py",
            "tests/unit/strict_json/test_encodings.py",
            "tests/unit/store/test_skipped.py",
            "tests/unit/store/test_omission.py",
            "tests/unit/store/test_push.py",
        ),
    ),
    Group(
        "stores",
        tuple(
            f"bridge/store/{name}.py"
            for name in (
                *("index_change", "integrity", "layout", "memory_store"),
                *(
                    "opa_change",
                    "opa_compare",
                    "opa_documents",
                    "opa_lease",
                    "opa_push",
                    "opa_store",
                    "patches",
                    "push_and_sync",
                ),
                *("single_store", "state", "store"),
            )
        ),
        (
            "tests/unit/store/test_index_change.py",
            "tests/unit/store/test_push_parts.py",
            "tests/unit/store/test_layout.py",
            "tests/unit/store/test_memory_store.py",
            "tests/unit/store/test_single_store.py",
            "tests/unit/store/test_opa_store_*.py",
            "tests/unit/store/test_patches.py",
            "tests/unit/store/test_prepared_resources.py",
            "tests/unit/strict_json/test_quick_texts.py",
            "tests/unit/store/test_integrity.py",
            "tests/unit/store/test_push.py",
            "tests/unit/store/test_differing_buckets.py",
            "tests/unit/store/test_skipped.py",
            "tests/unit/store/test_state.py",
            "tests/unit/store/test_incremental_sync.py",
            "tests/unit/client/test_immutable_values.py",
        ),
    ),
    # HTTP and recovery, by servers on loopback and without an OPA.
    Group(
        "http_framing",
        ("bridge/http/response.py", "bridge/http/framing.py"),
        ("tests/http/test_answers.py", "tests/integration/test_opa_framing.py"),
    ),
    Group(
        "http",
        (
            *(
                f"bridge/http/{name}.py"
                for name in ("session", "sockets", "connection", "credentials", "outcome", "failures", "retries", "tls")
            ),
            *(f"bridge/opa/{name}.py" for name in ("queries", "replies", "opa_errors", "base_client")),
        ),
        (
            "tests/unit/opa/test_rules_query.py",
            "tests/unit/opa/test_opa_replies.py",
            "tests/http/test_retries.py",
            "tests/http/test_connections.py",
            "tests/http/test_credentials.py",
            "tests/http/test_unreadable_credentials.py",
            "tests/integration/test_opa_connections.py",
            "tests/integration/test_opa_transport.py",
            "tests/integration/test_opa_hosts.py",
            "tests/integration/test_opa_faults.py",
            "tests/integration/test_opa_requests.py",
            "tests/integration/test_opa_responses.py",
            "tests/integration/test_opa_tls.py",
        ),
    ),
    Group(
        "http_settings",
        (
            *(f"bridge/http/{name}.py" for name in ("address", "settings")),
            *(f"bridge/opa/{name}.py" for name in ("version", "paths")),
        ),
        ("tests/unit/opa/test_opa_settings.py",),
    ),
    Group(
        "aio",
        tuple(f"bridge/aio/{name}.py" for name in ("async_client", "async_connection")),
        (
            "tests/integration/test_aio_connections.py",
            "tests/integration/test_aio_requests.py",
            "tests/unit/aio/test_standard_errors.py",
        ),
    ),
    Group(
        "aio_keys",
        ("bridge/aio/async_keys.py",),
        ("tests/unit/aio/test_daemon_threads.py", "tests/integration/test_aio_keys.py"),
        prepared=tuple(("test_aio_keys", "private", key) for key in ("a", "b", "c", "made-up")),
    ),
    Group(
        "recovery",
        (
            "bridge/engines/recovery.py",
            "bridge/engines/recovery_run.py",
            "bridge/engines/recovery_wait.py",
            "bridge/opa/limited.py",
        ),
        (
            "tests/unit/recovery/test_recovery.py",
            "tests/unit/recovery/test_recovery_thread.py",
            "tests/unit/recovery/test_recovery_waits.py",
        ),
    ),
)
_COPIED: Final = ("bridge", "rego", "tests", "tools", "pyproject.toml")


class PythonSide:
    """Makes and judges the mutants of the Python.

    Args:
        root: The tree's root.
        folder: An empty folder to work in.
        jobs: How many mutants are judged at a time.
    """

    name: Final = "python"

    def __init__(self, root: Path, folder: Path, jobs: int) -> None:
        self.jobs = jobs
        self._folder = folder
        self._copy = folder / "tree"
        self._copy.mkdir()
        for name in _COPIED:
            if (root / name).is_dir():
                shutil.copytree(root / name, self._copy / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(root / name, self._copy / name)
        self._group_of: dict[str, Group] = {}

    def makes(self, file: str) -> bool:
        """Return whether this side makes the file's mutants."""
        return file.endswith(".py")

    def mutants(self, wanted: Slice) -> list[Mutant]:
        """Return the mutants of the slice's files."""
        made: list[Mutant] = []
        for group in GROUPS:
            for pattern in group.modules:
                for path in sorted(self._copy.glob(pattern)):
                    file = str(path.relative_to(self._copy))
                    self._group_of[file] = group
                    if file in wanted:
                        made += mutants(file, path.read_text(encoding="utf-8"))
        return made

    def judge(self, candidates: Iterable[Mutant]) -> Iterator[tuple[Mutant, Verdict]]:
        """Judge changes in functions warm and others cold; judge each that timed out once more, alone."""
        todo = list(candidates)
        for group in GROUPS:
            own = [mutant for mutant in todo if self._group_of[mutant.key.file] is group]
            if not own:
                continue
            again: list[tuple[str, Mutant]] = []
            cold = [mutant for mutant in own if not mutant.in_function]
            for mutant, outcome in self._judged(group, "warm", [one for one in own if one.in_function], self.jobs):
                if outcome == "unfit":
                    cold.append(mutant)
                elif outcome == "timeout":
                    again.append(("warm", mutant))
                else:
                    yield mutant, Verdict(outcome)
            for mutant, outcome in self._judged(group, "cold", cold, self.jobs):
                if outcome == "timeout":
                    again.append(("cold", mutant))
                else:
                    yield mutant, Verdict(outcome)
            for kind in ("warm", "cold"):
                for mutant, outcome in self._judged(group, kind, [one for way, one in again if way == kind], 1):
                    yield mutant, _repeated(outcome)

    def check(self, candidates: Sequence[Mutant]) -> None:
        """Check that the tests that judge these mutants pass without a mutant."""
        judging = {self._group_of[mutant.key.file].name for mutant in candidates}
        for group in (group for group in GROUPS if group.name in judging):
            with ExitStack() as running:
                self._started(group, "warm", 0, running)

    def _judged(self, group: Group, kind: str, todo: list[Mutant], jobs: int) -> Iterator[tuple[Mutant, str]]:
        waiting: SimpleQueue[Mutant] = SimpleQueue()
        for mutant in todo:
            waiting.put(mutant)
        done: SimpleQueue[tuple[Mutant, str] | BaseException] = SimpleQueue()

        def work(number: int) -> None:
            try:
                with ExitStack() as running:
                    worker = self._started(group, kind, number, running)
                    while True:
                        mutant = waiting.get_nowait()
                        done.put((mutant, _query(worker, mutant)["outcome"]))
            except Empty:
                pass
            except BaseException as error:  # noqa: BLE001 - the caller raises it
                done.put(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(min(jobs, len(todo)))]
        for thread in threads:
            thread.start()
        for _ in todo:
            result = done.get()
            if isinstance(result, BaseException):
                raise result
            yield result
        for thread in threads:
            thread.join()

    def _started(self, group: Group, kind: str, number: int, running: ExitStack) -> subprocess.Popen[str]:
        tests = [
            str(path.relative_to(self._copy)) for pattern in group.tests for path in sorted(self._copy.glob(pattern))
        ]
        settings = {
            "tests": [*tests, *(f"--deselect={name}" for name in group.without)],
            "prepared": group.prepared,
            "learnt": str(self._folder / f"{group.name}.json"),
            "log": str(self._folder / f"{group.name}-{kind}-{number}.log"),
        }
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(map(str, (self._copy, self._copy / "tests", self._copy / "tools"))),
            "PYTHONHASHSEED": "0",
            "CONFORMANCE_SEED": "1",
        }
        worker = running.enter_context(
            subprocess.Popen(
                [sys.executable, "-m", "mutation.python_worker", kind, json.dumps(settings)],
                cwd=self._copy,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        running.callback(worker.stdin.close)  # type: ignore[union-attr]
        response = _response(worker)
        if response["outcome"] != "ready":
            raise AssertionError(
                f"{group.name}: the tests that judge fail without a mutant: {response}; their last output:\n"
                + "\n".join(Path(settings["log"]).read_text(encoding="utf-8").splitlines()[-30:])
            )
        return worker


def _repeated(outcome: str) -> Verdict:
    """Return the verdict on a mutant that timed out before: one that survives now is suspicious."""
    if outcome == "timeout":
        return Verdict.TIMED_OUT
    return Verdict.KILLED if outcome == "killed" else Verdict.SUSPICIOUS


def _query(worker: subprocess.Popen[str], mutant: Mutant) -> dict[str, Any]:
    assert worker.stdin is not None
    key = mutant.key
    worker.stdin.write(json.dumps({"file": key.file, "within": key.within, "text": mutant.text}) + "\n")
    worker.stdin.flush()
    return _response(worker)


def _response(worker: subprocess.Popen[str]) -> dict[str, Any]:
    assert worker.stdout is not None
    line = worker.stdout.readline()
    if not line:
        raise AssertionError("a worker ended too early: see its log")
    response: dict[str, Any] = json.loads(line)
    return response
