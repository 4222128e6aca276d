"""Every task of a probe: importing this package fills the registry."""

from explorer.evaluation.tasks.base import TASKS, Column, Task, Truth

TASKS.discover(__name__, __path__)

__all__ = ["TASKS", "Column", "Task", "Truth"]
