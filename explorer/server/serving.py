"""Start the app for strangers: a health report, guarded events."""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from explorer import __version__
from explorer.core import WeightsError
from explorer.imaging import open_photo
from explorer.resources.memory import free_bytes
from explorer.resources.process_memory import resident_bytes
from explorer.server import json_log, zero_gpu
from explorer.server.cleanup import keep_sweeping
from explorer.server.gateway import MIB, Gateway
from explorer.server.guard import WORK, protect
from explorer.server.launch_options import Serving
from explorer.server.memory_limit import MemoryLimit
from explorer.session import Session
from explorer.ui.choices import example_photos
from explorer.ui.settings import Settings

FOLDER_MODE = 0o700


def configure_environment() -> None:
    """Give uploads and pictures a folder of this user's own, unless GRADIO_TEMP_DIR names one.

    In a Space every request comes through Hugging Face's proxy, so its word on addresses counts.
    """
    if os.environ.get("SPACE_ID"):
        os.environ.setdefault("FORWARDED_ALLOW_IPS", "*")
    user = os.getuid() if hasattr(os, "getuid") else "user"
    usual = Path(tempfile.gettempdir()) / f"feature-upsampling-explorer-{user}"
    folder = Path(os.environ.setdefault("GRADIO_TEMP_DIR", str(usual)))
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)


def prepare(demo: gr.Blocks, session: Session, serving: Serving) -> dict[str, Any]:
    """Guard the app and return what to pass on to its ``launch``."""
    memory = MemoryLimit(session)
    protect(demo, serving.request_seconds, serving.at_once, memory.apply)
    demo.queue(max_size=serving.queue, default_concurrency_limit=serving.at_once, api_open=False)
    started = time.monotonic()

    def healthz(_: Request) -> JSONResponse:
        return JSONResponse(health(demo, session, time.monotonic() - started))

    return {
        "ssr_mode": False,
        "strict_cors": True,
        "max_file_size": f"{serving.upload_mb}mb",
        "allowed_paths": [],
        "show_error": False,
        "run_history": False,
        "enable_monitoring": False,
        "mcp_server": False,
        "pwa": False,
        "state_session_capacity": 1000,
        "footer_links": ["api", "gradio"],
        "app_kwargs": {
            "routes": [Route("/healthz", healthz)],
            "middleware": [Middleware(Gateway, upload_bytes=8 * serving.upload_mb * MIB)],
        },
    }


def health(demo: gr.Blocks, session: Session, seconds: float) -> dict[str, Any]:
    """Return what a watchdog wants to know; JSON-serialisable, no visitor's data."""
    waiting = demo._queue.event_queue_per_concurrency_id.get(WORK)
    # on a ZeroGPU Space there is no GPU outside of events, so none to ask
    free = None if zero_gpu.is_zero() else free_bytes(session.device)
    return {
        "status": "ok",
        "version": __version__,
        "device": str(session.device),
        "queue_length": len(demo._queue),
        "running": waiting.current_concurrency if waiting else 0,
        "uptime_seconds": round(seconds),
        "cached_bytes": session.results.used,
        "resident_bytes": resident_bytes(),
        "free_bytes": free,
    }


def warm_up(session: Session) -> None:
    """Load what the first visitor will need; on a ZeroGPU Space this places it on the GPU.

    Weights that are not here are no reason not to start: the method's panel says what is missing.
    """
    usual = Settings()
    photo = next(iter(example_photos().values()), None)
    for backbone in usual.backbones:
        session.backbone(backbone)
        for name in usual.upsamplers if photo else ():
            with suppress(WeightsError):
                session.upsampler(name, backbone, usual.options(open_photo(photo)))


def launch(demo: gr.Blocks, session: Session, serving: Serving, **options: Any) -> None:
    """Serve the app until it is stopped; further ``options`` go to Gradio's ``launch``."""
    made = prepare(demo, session, serving)
    keep_sweeping(session)
    json_log.write("started", version=__version__, device=str(session.device), **vars(serving))
    demo.launch(**made, **options)
