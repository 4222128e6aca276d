"""Every event of the page as strangers may start it: one at a time, for so long, logged, and never
with a stack trace for an answer.
"""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial, wraps
from typing import Any

import gradio as gr
from gradio.components.api_component import Api
from gradio_client.utils import is_http_url_like

from explorer.resources.request_context import RequestContext, steps, use
from explorer.server import json_log, zero_gpu
from explorer.server.arguments import check_arguments
from explorer.server.request_info import asked, seconds
from explorer.ui.latest import page_of_event
from explorer.ui.status import error_status

WORK = "work"  # the queue of all events that compute
# Events with few inputs and no photo, and those outside the queue, only rearrange the page.
LIGHT_AT_ONCE, FEW = 8, 2
log = logging.getLogger(__name__)


def protect(
    demo: gr.Blocks,
    request_seconds: float,
    at_once: int = 1,
    after_work: Callable[[], Any] | None = None,
) -> None:
    """Guard every event of an app; call after it is built and before it is launched.

    Args:
        demo: the app.
        request_seconds: how long one request may compute.
        at_once: how many requests compute at the same time, over all events.
        after_work: called when an event that computes has ended, however it ended.
    """
    for block in demo.blocks.values():
        _refuse_addresses(block)
    for event in demo.fns.values():
        if event.fn is None:
            continue
        heavy = event.queue is not False and _computes(event.inputs)
        event.concurrency_id = WORK if heavy else f"light-{event._id}"
        event.concurrency_limit = at_once if heavy else LIGHT_AT_ONCE
        name = event.api_name if isinstance(event.api_name, str) else event.fn.__name__
        ask = partial(asked, event.fn, list(event.inputs))
        fn = typed(event.fn) if any(isinstance(field, Api) for field in event.inputs) else event.fn
        made = guarded(fn, name, ask, *((request_seconds, after_work) if heavy else (None,)))
        event.fn = _borrowing(made, ask) if heavy else made


def typed(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Return the endpoint with its arguments checked first."""

    @wraps(endpoint)
    def checked(*args: Any) -> Any:
        check_arguments(endpoint, args)
        return endpoint(*args)

    return checked


def guarded(
    fn: Callable[..., Any],
    name: str,
    ask: Callable[[tuple[Any, ...]], dict[str, Any]],
    limit: float | None,
    after_work: Callable[[], Any] | None = None,
) -> Callable[..., Any]:
    """Return ``fn`` (a function or a generator function) with a deadline, a log line and every
    error as one sentence.
    """
    after_work = after_work or (lambda: None)

    def start() -> RequestContext:
        until = None if limit is None else time.monotonic() + limit
        return RequestContext(page_of_event(), until, limit or 0.0)

    if inspect.isgeneratorfunction(fn):

        @wraps(fn)
        def stream(*args: Any, **named: Any) -> Iterator[Any]:
            with _Record(name, ask(args)) as record, _sentence(record):
                try:
                    with closing(steps(start(), fn(*args, **named))) as parts:
                        for part in parts:
                            record.look(part)
                            yield part
                finally:
                    after_work()

        return stream

    @wraps(fn)
    def answer(*args: Any, **named: Any) -> Any:
        with _Record(name, ask(args)) as record, use(start()), _sentence(record):
            try:
                made = fn(*args, **named)
            finally:
                after_work()
            record.look(made)
            return made

    return answer


class _Record:
    """The log line of a request: written when it ends, however it ends."""

    def __init__(self, name: str, found: dict[str, Any]):
        self.name, self.found, self.error = name, found, None

    def __enter__(self) -> _Record:
        self.began = time.perf_counter()
        return self

    def look(self, outputs: Any) -> None:
        """Notice a status line that tells of an error."""
        parts = outputs if isinstance(outputs, tuple | list) else [outputs]
        if any(isinstance(part, dict) and part.get("kind") == "error" for part in parts):
            self.error = "told on the page"

    def __exit__(self, kind: type | None, error: BaseException | None, _: Any) -> None:
        spent = round(time.perf_counter() - self.began, 3)
        told = self.error or (kind.__name__ if kind else None)
        ended = "left" if kind is GeneratorExit else "failed" if told else "answered"
        json_log.write(self.name, ended=ended, seconds=spent, error=told, **self.found)


class _sentence:  # noqa: N801  (reads as a statement)
    """Turns whatever is raised in the body into an error whose text a visitor may read."""

    def __init__(self, record: _Record):
        self.record = record

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type | None, error: BaseException | None, _: Any) -> None:
        if error is None or not isinstance(error, Exception):
            return
        told = error.__context__ if isinstance(error, gr.Error) else None
        self.record.error = type(told or error).__name__
        if isinstance(error, gr.Error):
            error.print_exception = False
            return
        raise gr.Error(error_status(error, log)["text"], print_exception=False) from None


def _computes(inputs: Sequence[Any]) -> bool:
    """Whether an event with these inputs may be slow: it gets a photo, or all of the settings."""
    return len(inputs) > FEW or any(isinstance(field, gr.Image | Api) for field in inputs)


def _borrowing(
    event: Callable[..., Any], ask: Callable[[tuple[Any, ...]], dict[str, Any]]
) -> Callable[..., Any]:
    def duration(*args: Any, **named: Any) -> int:
        return seconds(ask(args))

    return zero_gpu.on_gpu(event, duration)


def _refuse_addresses(block: Any) -> None:
    """Keep a component from fetching web addresses that stand in the place of an uploaded file."""
    fetch = getattr(block, "async_move_resource_to_block_cache", None)
    if fetch is None:
        return

    async def local_only(place: Any) -> str | None:
        if place is not None and is_http_url_like(str(place)):
            raise gr.Error(
                "addresses are not fetched here; upload the file itself", print_exception=False
            )
        return await fetch(place)

    block.async_move_resource_to_block_cache = local_only
