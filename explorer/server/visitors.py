"""Many visitors at once, to try a running app: ``python -m explorer.server.visitors PLAN.json``.

The plan is {"address", "visitors", "requests", "seed", "cases"}, a case {"endpoint", "photo",
"arguments"} and perhaps "second". Prints one JSON line per answer: the case, when it was asked and
answered, and a digest of what it says, "full" or another error.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
from gradio_client import Client, handle_file
from PIL import Image

PATIENCE = 120  # seconds for a single HTTP exchange: a busy machine answers late
SAME = ("row", "column", "caption", "origin", "legend", "marker", "rectangle", "cells", "error")


def digest(panels: list[dict[str, Any]]) -> str:
    """Return a digest of an answer: pictures and texts, without timings and file names."""
    digest = hashlib.sha256()
    for panel in panels:
        digest.update(json.dumps([panel[name] for name in SAME], sort_keys=True).encode())
        recipe = json.dumps(panel["recipe"], sort_keys=True)
        digest.update(recipe.encode())
        if panel["image"]:
            image = np.asarray(Image.open(panel["image"]))
            digest.update(f"{image.shape}".encode())
            digest.update(image.tobytes())
    return digest.hexdigest()


def ask(client: Client, case: dict[str, Any]) -> dict[str, Any]:
    """Return {"digest"}, or {"error"}: "full" if the queue was, else the sentence."""
    arguments = dict(case["arguments"])
    if case.get("second"):
        arguments["second"] = handle_file(case["second"])
    try:
        found = client.predict(
            photo=handle_file(case["photo"]), api_name=f"/{case['endpoint']}", **arguments
        )
        return {"digest": digest(found)}
    except Exception as error:  # whatever a visitor meets is an answer to count
        text = f"{type(error).__name__}: {error}"
        return {"error": "full" if "queue is full" in text.lower() else text[:200]}


def visit(plan: dict[str, Any], number: int, lock: threading.Lock) -> None:
    """Be one visitor: ask for random cases, one after the other."""
    chance = random.Random(plan["seed"] * 1000 + number)
    client = None
    for _ in range(plan["requests"]):
        order = range(len(plan["cases"])) if plan["visitors"] == 1 else None
        which = order[_ % len(order)] if order else chance.randrange(len(plan["cases"]))
        start = time.time()
        try:
            client = client or Client(
                plan["address"], verbose=False, httpx_kwargs={"timeout": PATIENCE}
            )
            answer = ask(client, plan["cases"][which])
        except Exception as error:
            answer = {"error": f"connecting: {type(error).__name__}: {error}"[:200]}
        if answer.get("error", "full") != "full":
            client = None  # as somebody would: wait for the page to come back, load it again
            wait_for(plan["address"])
        line = {"visitor": number, "case": which, "at": time.time(), "from": start} | answer
        with lock:
            print(json.dumps(line), flush=True)


def wait_for(address: str) -> None:
    """Return when the server answers, or after PATIENCE seconds."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(f"{address}/healthz", timeout=10):
                return
        except OSError:
            time.sleep(1)


def main() -> None:
    """Read the plan, let the visitors come."""
    plan = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    lock = threading.Lock()
    threads = [
        threading.Thread(target=visit, args=(plan, number, lock))
        for number in range(plan["visitors"])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
