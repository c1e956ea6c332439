"""Lines that are left out of coverage say why."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
LEFT_OUT = re.compile(r"#\s*pragma:\s*no\s*(?:cover|branch)\b(?P<reason>.*)", re.IGNORECASE)
REASON = re.compile(r"\s+-\s+\S.{9,}")


def without_a_reason(text: str) -> list[str]:
    return [match[0] for match in LEFT_OUT.finditer(text) if not REASON.fullmatch(match["reason"])]


def test_no_line_is_left_out_of_coverage_without_a_reason():
    files = [path for folder in ("bridge", "tests", "tools", "benchmarks") for path in (ROOT / folder).rglob("*.py")]
    assert len(files) > 100
    unexplained = {
        str(path): without_a_reason(path.read_text(encoding="utf-8")) for path in files if path != Path(__file__)
    }
    assert {path: lines for path, lines in unexplained.items() if lines} == {}


def test_a_line_without_a_reason_is_found():
    mark = "# pragma: no " + "cover"
    assert without_a_reason(f"x = 1  {mark}\ny = 2  {mark} - \n") == [mark, f"{mark} - "]
    assert without_a_reason(f"x = 1  {mark} - only where there is no fork\n") == []
