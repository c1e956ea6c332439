"""Steps without I/O: generators that yield what to ask, and receive the response or the error.

Each query to an engine is written once, as such a generator. The synchronous and the asynchronous client drive the same
steps, so a query means the same in both.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeVar

from bridge.errors import EngineError

_Query = TypeVar("_Query")
_Response = TypeVar("_Response")
_Result = TypeVar("_Result")


def drive(steps: Generator[_Query, _Response, _Result], ask: Callable[[_Query], _Response]) -> _Result:
    """Ask what the steps yield, and return their result.

    Args:
        steps: The steps.
        ask: Returns the response to a query. If it raises an `EngineError`, the steps receive the error where they have
            yielded, and may go on; every other error ends them.
    """
    response: Any = None
    fault: EngineError | None = None
    try:
        while True:
            try:
                query = steps.send(response) if fault is None else steps.throw(fault)
            except StopIteration as stop:
                result: _Result = stop.value
                return result
            try:
                response, fault = ask(query), None
            except EngineError as error:
                fault = error
    finally:
        del fault  # its traceback refers to this frame


async def drive_async(
    steps: Generator[_Query, _Response, _Result], ask: Callable[[_Query], Awaitable[_Response]]
) -> _Result:
    """Ask what the steps yield, and return their result; as `drive`, with an asynchronous function."""
    response: Any = None
    fault: EngineError | None = None
    try:
        while True:
            try:
                query = steps.send(response) if fault is None else steps.throw(fault)
            except StopIteration as stop:
                result: _Result = stop.value
                return result
            try:
                response, fault = await ask(query), None
            except EngineError as error:
                fault = error
    finally:
        del fault  # its traceback refers to this frame
