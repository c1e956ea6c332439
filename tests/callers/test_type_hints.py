"""`typing.get_type_hints` works on every public name, so that FastAPI and pydantic can read signatures."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import typing
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import TypeAdapter

import bridge

PACKAGES = ["bridge", *(f"bridge.{module.name}" for module in pkgutil.iter_modules(bridge.__path__) if module.ispkg)]


def public_objects() -> Iterator[tuple[str, object]]:
    for package in PACKAGES:
        module = importlib.import_module(package)
        for name in getattr(module, "__all__", ()):
            yield f"{package}.{name}", getattr(module, name)


def annotated(value: object) -> Iterator[object]:
    """A class with all that it or a base of it in this project defines; a function alone."""
    if not inspect.isclass(value):
        if inspect.isfunction(value):
            yield value
        return
    for owner in value.__mro__:
        if owner.__module__.partition(".")[0] != "bridge":
            continue
        yield owner
        for member in vars(owner).values():
            getter = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
            if inspect.isfunction(function := inspect.unwrap(getter)):
                yield function


PUBLIC = dict(public_objects())


@pytest.mark.parametrize("name", PUBLIC)
def test_the_type_hints_of_a_public_name_resolve(name: str) -> None:
    for value in annotated(PUBLIC[name]):
        try:
            typing.get_type_hints(value, include_extras=True)
        except NameError as error:
            pytest.fail(f"{value.__module__}.{value.__qualname__}: {error}: import it at run time")


def test_pydantic_knows_a_decision() -> None:
    decision = bridge.PolicyBridge(bridge.ReferenceEngine()).check({}, "devices", {"id": "d1"})
    assert TypeAdapter(bridge.Decision).dump_python(decision)["allow"] is True


@pytest.mark.parametrize("result", [bridge.Explanation, bridge.Listing, bridge.PushReport, bridge.PolicySettings])
def test_pydantic_makes_a_schema_of_a_result(result: type) -> None:
    assert TypeAdapter(result).core_schema


def test_fastapi_takes_a_decision_in_a_signature() -> None:
    app = FastAPI()

    @app.get("/decision")
    def decide() -> bridge.Decision:
        return bridge.PolicyBridge(bridge.ReferenceEngine()).check({}, "devices", {"id": "d1"})

    with TestClient(app) as client:
        response = client.get("/decision")
        assert (response.status_code, response.json()["allow"]) == (200, True)
        assert "Decision" in client.get("/openapi.json").json()["components"]["schemas"]
