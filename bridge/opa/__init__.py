"""Everything that speaks to an OPA: a client for its REST API, its executable, and a server of one's own."""

from bridge.opa.executable import OpaRun, find_opa, run_opa
from bridge.opa.opa_errors import is_too_large
from bridge.opa.process import ManagedOpa
from bridge.opa.replies import CompileReply, Health, QueryReply, StoredPolicy
from bridge.opa.rest_api import OpaClient
from bridge.opa.version import OLDEST

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
