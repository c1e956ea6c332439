"""Lines a second through `jwt-bridge decide`, on every engine, beside a loop that only parses and prints."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bridge.opa import ManagedOpa

FLOOR = (
    'import json,sys\nfor line in sys.stdin.buffer:\n json.loads(line); print(\'{"allow":true,"reason":"matched"}\')'
)
WANTED = {"wasm": 5_000, "reference": 5_000, "opa": 1_000}


def line(number: int) -> str:
    claims = {
        "aud": "https://cobrowse.io",
        "iss": "LICENSE-KEY",
        "sub": f"agent{number % 97}@example.com",
        "iat": 1_700_000_000,
        "exp": 1_700_003_600,
        "policy": {"version": 2, "devices": {"custom_data": {"user_id": f"u{number % 5}", "tier": 1.5}}},
    }
    custom_data = {"user_id": f"u{number % 3}", "tier": 1.5, "tags": ["a", number], "name": f"device {number}"}
    return json.dumps(
        {"claims": claims, "type": "devices", "resource": {"id": f"d{number}", "custom_data": custom_data}}
    )


def seconds(command: list[str], lines: Path, answers: Path) -> float:
    with lines.open("rb") as requests, answers.open("wb") as taken:
        start = time.perf_counter()
        subprocess.run(command, stdin=requests, stdout=taken, check=True)
        return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ManagedOpa() as opa:
        folder = Path(name)
        lines = folder / "lines.jsonl"
        lines.write_text("".join(line(number) + "\n" for number in range(chosen.lines)))
        commands = {("floor", ""): [sys.executable, "-c", FLOOR]}
        for engine in WANTED:
            for stored in ("", "--stored"):
                command = [sys.executable, "-m", "bridge", "decide", "--engine", engine, *filter(None, [stored])]
                commands[engine, stored] = command + (["--opa-url", opa.url] if engine == "opa" else [])
        times: dict[tuple[str, str], list[float]] = {key: [] for key in commands}
        for _ in range(chosen.rounds):
            for key, command in commands.items():
                times[key].append(seconds(command, lines, folder / "-".join(key)))
        answers = {(folder / "-".join(key)).read_bytes() for key in commands if key[0] != "floor"}
        if len(answers) != 1:
            sys.exit("the engines' answers differ")
        floor = statistics.median(times["floor", ""])
        print(f"{chosen.lines:,} lines, median of {chosen.rounds} interleaved rounds, whole processes\n")
        print(f"{'engine':<12}{'':<10}{'lines/s':>10}{'/ wanted':>10}{'/ floor':>10}")
        for (engine, stored), taken in times.items():
            rate = chosen.lines / statistics.median(taken)
            wanted = f"{rate / WANTED[engine]:.1f}" if engine in WANTED else ""
            print(f"{engine:<12}{stored:<10}{rate:>10,.0f}{wanted:>10}{floor / statistics.median(taken):>10.2f}")


if __name__ == "__main__":
    main()
