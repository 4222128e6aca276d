"""Start the Feature Upsampling Explorer: ``python app.py``; also what a Hugging Face Space runs."""

from __future__ import annotations

from explorer.server.launch import build_parser, main

__all__ = ["build_parser", "main"]

if __name__ == "__main__":
    main()
