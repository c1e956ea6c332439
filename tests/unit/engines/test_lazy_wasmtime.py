"""Only a Wasm engine imports wasmtime, which is large."""

from __future__ import annotations

import subprocess
import sys


def is_wasmtime_imported_after(code: str) -> bool:
    """Return whether a fresh interpreter has imported wasmtime after this code."""
    code += "; print('wasmtime' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", "import sys; " + code], capture_output=True, text=True, check=True)
    return {"False\n": False, "True\n": True}[done.stdout]


def test_import_bridge_does_not_import_wasmtime():
    assert not is_wasmtime_imported_after("import bridge")


def test_the_other_engines_do_not_import_wasmtime():
    code = "import bridge; bridge.ReferenceEngine(); bridge.OpaEngine('http://127.0.0.1:8181')"
    assert not is_wasmtime_imported_after(code)


def test_a_wasm_engine_imports_wasmtime():
    assert is_wasmtime_imported_after("import bridge; bridge.PolicyBridge()")
