"""Start the Feature Upsampling Explorer: ``python app.py``; also what a Hugging Face Space runs."""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")


def main() -> None:
    """Read the arguments, build the page, serve it."""
    parser = argparse.ArgumentParser(description="Feature Upsampling Explorer")
    parser.add_argument("--host", default=os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"))
    parser.add_argument("--port", type=int, help="default: the first free one from 7860")
    parser.add_argument("--device", help="cuda, mps or cpu; default: the best there is")
    parser.add_argument("--share", action="store_true", help="a public Gradio link")
    args = parser.parse_args()

    from explorer.session import Session
    from explorer.ui import layout
    from explorer.ui.settings import Settings

    session = Session(args.device)
    demo = layout.build(session)
    session.backbone(Settings().backbones[0])  # the first visitor should not wait for it
    demo.queue(max_size=32, default_concurrency_limit=1)
    demo.launch(
        server_name=args.host,
        server_port=args.port,
        share=args.share,
        css=layout.CSS,
        theme=layout.THEME,
        ssr_mode=False,
        strict_cors=True,
        max_file_size="32mb",
        allowed_paths=[],
    )


if __name__ == "__main__":
    main()
