"""Gets the tests an OPA: a server to ask and an executable to run.

The server is the first of: the one that `OPA_URL` names; `opa` on PATH; the image that docker-compose.yml pins, on a
Docker engine; an `opa` built with Go and kept in the cache folder. The executable, which formatting, checking, building
and the tests that kill an OPA need, is the first of the same without `OPA_URL`. `JWT_BRIDGE_OPA`, a path, stands for
PATH where it is set.

It imports the standard library only: the Makefile runs it before anything is installed.

    python tools/opa_source.py [--from path|docker|go] [--pinned | --oldest]
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT = Path(__file__).resolve().parent.parent
COMPOSE_FILE = ROOT / "docker-compose.yml"
OLDEST = "1.20.1"
MINIMUM = tuple(map(int, OLDEST.split(".")))
EXECUTABLE_SOURCES = ("path", "docker", "go")
_NAMES = {"url": "OPA_URL", "path": "PATH", "docker": "Docker", "go": "Go"}
SERVER_SOURCES = tuple(_NAMES)
PROBE_SECONDS = 30
FETCH_SECONDS = 1200

_T = TypeVar("_T")


class UnusableSourceError(Exception):
    """This source has no usable OPA; the text says why."""


class NoUsableOpaError(Exception):
    """No source has a usable OPA; the text says what to install."""


@dataclass(frozen=True)
class Executable:
    """An `opa` that runs on this machine."""

    source: str
    path: Path
    version: tuple[int, int, int]

    def __str__(self) -> str:
        """Describe it and its source, for the header of the test report."""
        return f"opa {'.'.join(map(str, self.version))} from {self.source}: {self.path}"


@dataclass(frozen=True)
class Server:
    """The source of the shared server."""

    kind: str
    detail: str

    def __str__(self) -> str:
        """Describe it and its source, for the header of the test report."""
        return f"{_NAMES[self.kind]} ({self.detail})"


def pinned_image(compose_file: Path = COMPOSE_FILE) -> tuple[str, str]:
    """Return the image that docker-compose.yml pins, and the version that its tag begins with."""
    image = re.search(
        r"^\s*image:\s*(openpolicyagent/opa:(\d+\.\d+\.\d+)\S*)\s*$", compose_file.read_text(), re.MULTILINE
    )
    if image is None:
        raise ValueError(f"`{compose_file}` pins no openpolicyagent/opa image")
    return image[1], image[2]


IMAGE, PINNED = pinned_image()


class OpaSource:
    """Looks for an OPA in an environment.

    Args:
        environ: The environment.
        tell: Takes lines about what takes long.
        version: The version to build, and to keep to where `pinned` is asked for.
    """

    def __init__(
        self, environ: Mapping[str, str], tell: Callable[[str], None] = lambda _: None, version: str = PINNED
    ) -> None:
        self.environ = dict(environ)
        self.version = version
        self._tell = tell
        self._known: dict[str, object] = {}

    def server(self, only: str | None = None) -> Server:
        """Choose the source of the shared server; `only` restricts it to the named one."""
        looks = {
            "url": self._server_at_url,
            "path": lambda: Server("path", str(self._on_path())),
            "docker": self._server_in_docker,
            "go": lambda: Server("go", str(self._built())),
        }
        if self.environ.get("OPA_URL") and only in (None, "url"):
            # The user named it: if it does not work, that is the error to show.
            try:
                return self._server_at_url()
            except UnusableSourceError as why:
                raise NoUsableOpaError(str(why)) from why
        return self._first(looks, only)

    def executable(self, only: str | None = None, *, pinned: bool = False) -> Executable:
        """Choose the `opa` to run; with `pinned`, only the version of this source."""
        looks = {
            "path": lambda: self._on_path(pinned=pinned),
            "docker": self._from_image,
            "go": self._built,
        }
        if self.environ.get("JWT_BRIDGE_OPA") and only in (None, "path") and not pinned:
            try:
                return self._on_path()
            except UnusableSourceError as why:
                raise NoUsableOpaError(str(why)) from why
        return self._first(looks, only)

    def docker(self) -> str:
        """Return the running Docker engine's version, with compose; raise UnusableSourceError without one."""
        return self._once("docker", self._look_for_docker)

    def _first(self, looks: Mapping[str, Callable[[], _T]], only: str | None) -> _T:
        reasons = []
        for name, look in looks.items():
            if only in (None, name):
                try:
                    return look()
                except UnusableSourceError as why:
                    reasons.append(f"  - {why}")
        wanted = "" if only is None else f" from `{only}`"
        raise NoUsableOpaError(
            f"found no OPA{wanted}:\n" + "\n".join(reasons) + f"\nInstall one of: opa {self.version} on PATH "
            "(https://www.openpolicyagent.org/docs/#1-download-opa); Docker with compose; Go (https://go.dev/dl/). "
            "Or set OPA_URL, and JWT_BRIDGE_OPA to the path of an `opa`."
        )

    def _once(self, key: str, look: Callable[[], _T]) -> _T:
        """Call `look` once and keep its result: a probe takes a second, a build a minute."""
        if key not in self._known:
            try:
                self._known[key] = look()
            except UnusableSourceError as why:
                self._known[key] = why
        known = self._known[key]
        if isinstance(known, UnusableSourceError):
            raise UnusableSourceError(*known.args)
        return known  # type: ignore[return-value]

    def _program(self, name: str) -> str:
        path = shutil.which(name, path=self.environ.get("PATH", ""))
        if path is None:
            raise UnusableSourceError(f"no `{name}` on PATH")
        return path

    def _run(self, *command: str, seconds: float = PROBE_SECONDS) -> str:
        """Run a command of the environment's PATH and return what it printed."""
        program = self._program(command[0])
        try:
            done = subprocess.run(
                [program, *command[1:]],
                env=self.environ,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=seconds,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as fault:
            raise UnusableSourceError(f"`{' '.join(command)}`: {fault}") from fault
        if done.returncode != 0:
            said = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()
            raise UnusableSourceError(f"`{' '.join(command)}` ended with {done.returncode}: {' '.join(said[-3:])}")
        return done.stdout

    def _server_at_url(self) -> Server:
        url = self.environ.get("OPA_URL", "")
        if not url:
            raise UnusableSourceError("OPA_URL is not set")
        if not url.startswith(("http://", "https://")):
            raise UnusableSourceError(f"OPA_URL is no HTTP address: `{url}`")
        try:
            with urllib.request.urlopen(f"{url.rstrip('/')}/health", timeout=5):
                pass
        except urllib.error.HTTPError:
            pass  # An OPA answers, even if it needs a token or is not ready.
        except (OSError, ValueError) as fault:
            raise UnusableSourceError(f"OPA_URL is set, but nothing answers at `{url}`: {fault}") from fault
        return Server("url", url)

    def _server_in_docker(self) -> Server:
        engine = self.docker()
        self._once("image", self._have_image)
        return Server("docker", f"{IMAGE} on {engine}")

    def _look_for_docker(self) -> str:
        version = self._run("docker", "version", "--format", "{{.Server.Version}}").strip()
        compose = self._run("docker", "compose", "version", "--short").strip()
        return f"Docker engine {version} with compose {compose}"

    def _have_image(self) -> None:
        try:
            self._run("docker", "image", "inspect", IMAGE)
        except UnusableSourceError:
            self._tell(f"pulling {IMAGE}")
            self._run("docker", "pull", "--quiet", IMAGE, seconds=FETCH_SECONDS)

    def _inspected(self, source: str, path: Path) -> Executable:
        """Run it and check its version: an `opa` may be too old, built for another machine, or not OPA."""
        text = self._run(str(path), "version")
        match = re.search(r"^Version:\s*(\d+)\.(\d+)\.(\d+)", text, re.MULTILINE)
        if match is None:
            raise UnusableSourceError(f"`{path} version` tells no version: no Open Policy Agent")
        version = (int(match[1]), int(match[2]), int(match[3]))
        if version < MINIMUM:
            raise UnusableSourceError(
                f"`{path}` is {'.'.join(map(str, version))}, older than {'.'.join(map(str, MINIMUM))}"
            )
        return Executable(source, path, version)

    def _on_path(self, *, pinned: bool = False) -> Executable:
        named = self.environ.get("JWT_BRIDGE_OPA")
        path = named or shutil.which("opa", path=self.environ.get("PATH", ""))
        if not path:
            raise UnusableSourceError("no `opa` on PATH")
        source = "JWT_BRIDGE_OPA" if named else "PATH"
        executable = self._inspected(source, Path(path).absolute())
        if pinned and ".".join(map(str, executable.version)) != self.version:
            raise UnusableSourceError(f"`{executable.path}` is not the pinned version, {self.version}")
        return executable

    @property
    def _cached(self) -> Path:
        cache = self.environ.get("XDG_CACHE_HOME") or str(Path(self.environ.get("HOME", "~")).expanduser() / ".cache")
        return Path(cache) / "jwt-policy-bridge" / "opa" / self.version / "opa"

    def _from_image(self) -> Executable:
        if self.version != PINNED:
            raise UnusableSourceError(f"the image is that of opa {PINNED}")
        self.docker()
        if sys.platform != "linux":
            raise UnusableSourceError("the image's `opa` is for Linux")
        return self._once("from image", lambda: self._kept("Docker", self._copy_out))

    def _built(self) -> Executable:
        return self._once("built", lambda: self._kept("Go", self._build))

    def _kept(self, source: str, fetch: Callable[[Path], None]) -> Executable:
        """Return the cached `opa`; fetch it first if there is none."""
        if self._cached.exists():
            source = "the cache"
        else:
            self._cached.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self._cached.parent, prefix="fetch-") as folder:
                fetch(Path(folder))
                # Two processes may fetch at once, and one may stop: only a complete `opa` that runs gets the name.
                self._inspected(source, Path(folder) / "opa")
                (Path(folder) / "opa").replace(self._cached)
        return self._inspected(source, self._cached)

    def _copy_out(self, folder: Path) -> None:
        self._once("image", self._have_image)
        container = self._run("docker", "create", IMAGE).strip()
        try:
            self._run("docker", "cp", f"{container}:/opa", str(folder / "opa"))
        finally:
            self._run("docker", "rm", container)

    def _build(self, folder: Path) -> None:
        self._program("go")
        self._tell(f"building opa {self.version} with Go: a minute or two, this once")
        built = OpaSource({**self.environ, "GOBIN": str(folder), "CGO_ENABLED": "0"})
        built._run("go", "install", f"github.com/open-policy-agent/opa@v{self.version}", seconds=FETCH_SECONDS)


def main() -> int:
    """Print the path of an `opa` to run."""
    parser = argparse.ArgumentParser(description="Print the path of an `opa` to run, getting one if there is none.")
    parser.add_argument("--executable", action="store_true", help="the default")
    parser.add_argument("--from", dest="source", choices=EXECUTABLE_SOURCES, help="only this source")
    versions = parser.add_mutually_exclusive_group()
    versions.add_argument("--pinned", action="store_true", help=f"only version {PINNED}")
    versions.add_argument("--oldest", action="store_true", help=f"only the oldest supported version, {OLDEST}")
    parser.add_argument("--image", action="store_true", help="print the name of the pinned image instead")
    arguments = parser.parse_args()
    if arguments.image:
        sys.stdout.write(f"{IMAGE}\n")
        return 0
    version = OLDEST if arguments.oldest else PINNED
    source = OpaSource(os.environ, lambda text: print(text, file=sys.stderr, flush=True), version)  # noqa: T201
    try:
        executable = source.executable(arguments.source, pinned=arguments.pinned or arguments.oldest)
    except NoUsableOpaError as why:
        sys.stderr.write(f"{why}\n")
        return 1
    sys.stdout.write(f"{executable.path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
