"""The command line `jwt-bridge`: one module per command, or per pair of commands."""

from bridge.cli.app import app, register
from bridge.cli.check import check
from bridge.cli.conformance import conformance
from bridge.cli.decide import decide
from bridge.cli.demo import demo
from bridge.cli.doctor import doctor
from bridge.cli.install import install, uninstall
from bridge.cli.list import list_
from bridge.cli.push import push, sync
from bridge.cli.render import render
from bridge.cli.serve import serve

__all__ = ["app"]

for _command in (demo, decide, check, list_, push, sync, doctor, install, uninstall, render, serve, conformance):
    register(_command)
