"""The machine and the versions of a run."""

from __future__ import annotations

import os
import platform
import ssl
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bridge.opa.executable import find_opa, run_opa

_PACKAGES = (
    "jwt-policy-bridge",
    "urllib3",
    "requests",
    "aiohttp",
    "opa-python-client",
    "cedarpy",
    "casbin",
    "wasmtime",
    "matplotlib",
)


def described() -> dict[str, object]:
    """Return the machine, and the versions of everything that is measured."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "usable cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory, GiB": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.platform(),
        "load when it began": [round(load, 1) for load in os.getloadavg()],
        "python": platform.python_version(),
        "openssl": ssl.OPENSSL_VERSION,
        "opa": run_opa(["version"], executable=find_opa(None)).stdout.decode().split("\n")[0].split()[-1],
        "packages": {name: _version(name) for name in _PACKAGES},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
