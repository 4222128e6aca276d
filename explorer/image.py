"""`explorer.imaging` under its earlier name."""

from explorer.imaging import *  # noqa: F403
