"""On which TCP ports a process of ours listens, as Linux tells it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

_SOCKET: Final = re.compile(r"socket:\[(\d+)\]")
_LISTENS: Final = "0A"


def can_tell() -> bool:
    """Whether this system has the files that tell it."""
    return Path("/proc/self/net/tcp").exists()


def ports_of(pid: int) -> frozenset[int]:
    """The ports; none while the process starts, and none once it has ended."""
    process = Path("/proc") / str(pid)
    try:
        sockets = {match[1] for link in (process / "fd").iterdir() if (match := _socket(link))}
        lines = (process / "net" / "tcp").read_text().splitlines()[1:]
    except OSError:
        return frozenset()
    ports = set()
    for line in lines:
        _, local, _, state, _, _, _, _, _, inode, *_ = line.split()
        if state == _LISTENS and inode in sockets:
            ports.add(int(local.rpartition(":")[2], 16))
    return frozenset(ports)


def _socket(link: Path) -> re.Match[str] | None:
    try:
        return _SOCKET.fullmatch(str(link.readlink()))
    except OSError:  # closed since
        return None
