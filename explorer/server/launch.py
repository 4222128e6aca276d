"""Start the page: the arguments of ``python app.py`` and ``python -m explorer app``."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Sequence

import explorer.server.zero_gpu  # noqa: F401  (before anything that may touch CUDA)
from explorer.server import launch_options

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

EXTRA_ARGUMENTS = "EXPLORER_ARGS"  # the variable for where no command line can be given


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare where to listen and what visitors get; EXPLORER_ARGS holds other defaults."""
    _declare(parser)
    given = shlex.split(os.environ.get(EXTRA_ARGUMENTS, ""))
    if given:
        extra = argparse.ArgumentParser(prog=EXTRA_ARGUMENTS)
        _declare(extra)
        parser.set_defaults(**vars(extra.parse_args(given)))


def _declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default=os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"))
    parser.add_argument("--port", type=int, help="default: the first free one from 7860")
    parser.add_argument("--device", help="cuda, mps or cpu; default: the best there is")
    parser.add_argument("--share", action="store_true", help="a public Gradio link")
    parser.add_argument("--root-path", help="the path behind a proxy, if it is not /")
    launch_options.add_arguments(parser)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of ``app.py``."""
    parser = argparse.ArgumentParser(description="Feature Upsampling Explorer")
    add_arguments(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the arguments (None: those of the command line), build the page and serve it."""
    serve(build_parser().parse_args(arguments))


def serve(args: argparse.Namespace) -> None:
    """Build the page and serve it until it is stopped."""
    from explorer.server import json_log, serving
    from explorer.ui import layout

    json_log.to_stderr()
    serving.configure_environment()
    wanted = serving.Serving.of(args)
    session = wanted.session(args.device)
    demo = layout.build(session)
    serving.warm_up(session)
    serving.launch(
        demo,
        session,
        wanted,
        server_name=args.host,
        server_port=args.port,
        root_path=args.root_path,
        share=args.share,
        css=layout.CSS,
        theme=layout.THEME,
    )
