"""app.py as it is, but that one upsampler fails while FAULT_FLAG names a file that exists, and that
a server that was down, or weights that could not be had, are asked for again sooner.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import app  # noqa: E402
from explorer import session  # noqa: E402
from explorer.upsamplers import UPSAMPLERS  # noqa: E402
from explorer.weights import network  # noqa: E402

METHOD = UPSAMPLERS.get("jbu")
USUAL = METHOD._prepare


def failing(self, *args):
    if Path(os.environ["FAULT_FLAG"]).exists():
        raise KeyError("/secret/place/of/the/server")
    return USUAL(self, *args)


METHOD._prepare = failing
network.REMEMBERED = 0.1
session.STAND_IN_SECONDS = 1.0

if __name__ == "__main__":
    app.main()
