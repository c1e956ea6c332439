"""Signals that a command heeds, and those that it leaves alone."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

COMMAND = [sys.executable, "-m", "bridge", "decide"]
LINE = b'{"claims":{},"type":"devices","resource":{"id":"a"}}\n'
ANSWER = b'{"allow":true,"reason":"unrestricted"}\n'


@pytest.mark.parametrize("ignored", [False, True])
def test_a_hang_up_ends_a_run_unless_it_was_ignored_before(ignored):
    start = [
        sys.executable,
        "-c",
        f"import os,signal; signal.signal(signal.SIGHUP, signal.SIG_{'IGN' if ignored else 'DFL'});",
    ]
    start[-1] += f" os.execv({sys.executable!r}, {COMMAND!r})"
    with subprocess.Popen(start, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdin.write(LINE)
        process.stdin.flush()
        assert process.stdout.readline() == ANSWER
        process.send_signal(signal.SIGHUP)
        if ignored:
            assert process.communicate(LINE, timeout=60)[0] == ANSWER
            assert process.returncode == 0
        else:
            assert process.wait(60) == 143
