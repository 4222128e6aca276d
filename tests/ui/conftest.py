"""The browser fixtures, for every test of this folder."""

from browser import chromium, context, serve, visit

__all__ = ["chromium", "context", "serve", "visit"]
