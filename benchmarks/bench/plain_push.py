"""A plain push script: loads each line, dumps all as JSON, PUTs them: plain_push.py FILE URL."""

from __future__ import annotations

import json
import sys
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit


def main() -> None:
    file, url = sys.argv[1:]
    devices = {}
    with Path(file).open(encoding="utf-8") as lines:
        for line in lines:
            device = json.loads(line)
            devices[device["id"]] = device
    at = urlsplit(url)
    connection = HTTPConnection(at.hostname or "", at.port)
    connection.request("PUT", at.path, json.dumps(devices), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    if answer.status != 204:
        sys.exit(f"{answer.status} {answer.read()!r}")


if __name__ == "__main__":
    main()
