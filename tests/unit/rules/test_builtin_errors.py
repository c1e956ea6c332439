"""What the mutants of the rules showed that no test said: no rule leans on a built-in that fails in silence."""

from __future__ import annotations

import json

from conformance.committed_vectors import shown
from mutation.rego_side import Vectors

from bridge.opa import run_opa
from bridge.rendering import rego_root


def test_the_vectors_are_answered_alike_where_builtin_errors_are_strict(opa_executable, tmp_path):
    """OPA's API lets any client ask with `strict-builtin-errors`: that must change no decision."""
    vectors = Vectors(tmp_path)
    run = run_opa(
        [
            *("eval", "--strict-builtin-errors", "--format=raw", "--data", str(rego_root() / "jwt_policy")),
            *("--data", vectors.judge, "--input", vectors.input, "data.mutation_judge"),
        ],
        executable=opa_executable,
    )
    assert run.status == 0, run.stderr
    assert shown(json.loads(run.stdout)) == vectors.wanted
