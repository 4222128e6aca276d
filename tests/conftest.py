"""What every test shares: no network unless asked for, quiet property tests, a browser if any."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

NETWORK = "EXPLORER_TEST_NETWORK"
if not os.environ.get(NETWORK):  # before anything imports the libraries that read them
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
if "PYTEST_XDIST_WORKER" in os.environ:  # a process for every core: more threads would only wait
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from hypothesis import HealthCheck, settings  # noqa: E402

settings.register_profile(
    "explorer",
    deadline=None,  # shared machines are slow in bursts
    max_examples=50,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("explorer")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what this machine cannot run, with the reason."""
    for item in items:
        if item.get_closest_marker("network") and not os.environ.get(NETWORK):
            item.add_marker(pytest.mark.skip(reason=f"needs the internet: set {NETWORK}=1"))
        if item.get_closest_marker("gpu"):
            import torch

            if not torch.cuda.is_available():
                item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def find_chromium() -> str | None:
    """The Chromium to test with: $CHROMIUM, the system's, or the one Playwright installed."""
    named = os.environ.get("CHROMIUM")
    if named:
        return shutil.which(named)
    for name in ("chromium", "chromium-browser", "google-chrome"):
        found = shutil.which(name)
        if found:
            return found
    try:
        from playwright.sync_api import sync_playwright

        with sync_playwright() as playwright:
            bundled = playwright.chromium.executable_path
    except Exception:  # no Playwright, or one without its driver
        return None
    return bundled if Path(bundled).is_file() else None


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Path of a Chromium for Playwright's ``executable_path``; its absence fails only in CI."""
    found = find_chromium()
    if found is None:
        reason = "no Chromium found: apt-get install chromium, or set CHROMIUM to its path"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@pytest.fixture(scope="session")
def chromium(chromium_path: str) -> Iterator[Any]:
    """A headless Chromium; without one tests skip, or fail where CI is set."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("playwright is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def examples() -> Path:
    """The folder of example photos."""
    return Path(__file__).parent.parent / "assets" / "examples"


@pytest.fixture(scope="module")
def serve() -> Iterator[Callable[..., str]]:
    """``serve(demo, **launch_options)`` runs a ``gr.Blocks`` in a thread, returns its address."""
    running = []

    def start(demo: Any, **options: Any) -> str:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        demo.launch(
            server_name="127.0.0.1",
            server_port=port,
            prevent_thread_lock=True,
            ssr_mode=False,
            quiet=True,
            **options,
        )
        running.append(demo)
        return f"http://127.0.0.1:{port}/"

    yield start
    for demo in running:
        demo.close()
