"""Files where Gradio may serve them from, one for each content."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import gradio as gr
from gradio.utils import get_upload_folder

from explorer.files.atomic import part_file

MIMES = {
    "png": "image/png",
    "pdf": "application/pdf",
    "svg": "image/svg+xml",
    "zip": "application/zip",
    "bib": "application/x-bibtex",
    "npy": "application/octet-stream",
    "json": "application/json",
}


def served(digest: str, name: str, write: Callable[[BinaryIO], object]) -> str:
    """Return the path of the file called ``name`` for the content that ``digest`` stands for;
    ``write`` makes it if it is not there.

    Raises:
        OutputError: it cannot be stored.
    """
    folder = Path(get_upload_folder()) / digest
    path = folder / name
    try:
        os.utime(path)  # the cache's clean-up goes by age: a file in use is a young one
        return str(path)
    except FileNotFoundError:
        pass
    # Another visitor's thread may be writing the same file: only whole ones get the final name.
    with part_file(path, durable=False) as part, part.open("wb") as file:
        write(file)
    return str(path)


def stored(data: bytes, name: str) -> gr.FileData:
    """Write a file to be served under its name."""
    path = served(hashlib.sha256(data).hexdigest(), name, lambda file: file.write(data))
    mime = MIMES[name.rpartition(".")[2]]
    return gr.FileData(path=path, mime_type=mime, orig_name=name, size=len(data))
