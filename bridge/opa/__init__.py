"""Everything that speaks to an OPA: a client for its REST API, its executable, and a server of one's own.

What runs an executable is imported when it is first used, because few programs need it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

from bridge.opa.opa_errors import is_too_large
from bridge.opa.replies import CompileReply, Health, QueryReply, StoredPolicy
from bridge.opa.rest_api import OpaClient
from bridge.opa.version import OLDEST

if TYPE_CHECKING:
    from bridge.opa.executable import OpaRun, find_opa, run_opa
    from bridge.opa.process import ManagedOpa

__all__ = [
    "OLDEST",
    "CompileReply",
    "Health",
    "ManagedOpa",
    "OpaClient",
    "OpaRun",
    "QueryReply",
    "StoredPolicy",
    "find_opa",
    "is_too_large",
    "run_opa",
]

_MODULES: Final = {
    "ManagedOpa": "bridge.opa.process",
    "OpaRun": "bridge.opa.executable",
    "find_opa": "bridge.opa.executable",
    "run_opa": "bridge.opa.executable",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
