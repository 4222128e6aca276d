"""The browser fixtures, for every test of this folder."""

from browser import chromium, serve, visit

__all__ = ["chromium", "serve", "visit"]
