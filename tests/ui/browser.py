"""A Gradio app on a free port and a page of headless Chromium looking at it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

SLOWEST = 120_000  # ms: a busy machine takes half a minute to open a page
LOCAL = {"127.0.0.1", "localhost", "", None}  # data: and blob: addresses have no host


@pytest.fixture(scope="session")
def context(chromium: Any) -> Any:
    """A context that pages share so that Gradio's own files are fetched once."""
    return chromium.new_context(viewport={"width": 1280, "height": 800})


@pytest.fixture
def visit(chromium: Any, context: Any) -> Iterator[Callable[..., Any]]:
    """``visit(address, ready=selector, **context_options)`` opens a page.

    ``page.outside`` lists the requests that would have left the machine and ``page.complaints`` the
    errors of the page's own scripts; both must be empty when the test ends.
    """
    pages = []

    def open_page(address: str, ready: str = "gradio-app", **options: Any) -> Any:
        if options:
            options = {"viewport": {"width": 1280, "height": 800}} | options
            page = chromium.new_context(**options).new_page()
        else:
            page = context.new_page()
        page.set_default_timeout(SLOWEST)
        page.outside, page.complaints = [], []
        page.on(
            "request",
            lambda request: (
                urlsplit(request.url).hostname in LOCAL or page.outside.append(request.url)
            ),
        )
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on(
            "console",
            lambda line: page.complaints.append(line.text) if line.type == "error" else None,
        )
        pages.append((page, options))
        page.goto(address, wait_until="domcontentloaded")
        page.wait_for_selector(ready)
        return page

    yield open_page
    found = [(page.outside, page.complaints) for page, _ in pages]
    for page, options in pages:
        page.context.close() if options else page.close()
    assert all(not outside and not complaints for outside, complaints in found), found
