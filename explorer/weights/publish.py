"""Mirror checkpoints as safetensors, cards and one model card into a Hub repository.

The mirror is what EXPLORER_WEIGHTS_REPO names: ``<name>.safetensors`` and ``<name>.json`` for every
row, and a README.md that lists origins, licences, papers and digests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from explorer.core import WeightsError
from explorer.weights.cards import read_card
from explorer.weights.loading import convert
from explorer.weights.network import Progress
from explorer.weights.resolution import resolve
from explorer.weights.rows import PUBLISHED, Checkpoint


@dataclass(frozen=True)
class Upload:
    """What would be sent: files by their name in the repository, and the text of the model card."""

    repo: str
    files: tuple[tuple[str, Path], ...]
    readme: str

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(path.stat().st_size for _, path in self.files) + len(self.readme.encode())


def plan(
    rows: Sequence[Checkpoint],
    repo: str,
    *,
    allow_network: bool = True,
    progress: Progress | None = None,
) -> Upload:
    """Fetch, verify and convert the rows, and return what `publish` would send; nothing is sent.

    Raises:
        WeightsError: a row's file can't be had, read or verified, or ``repo`` is no repository
            name.
    """
    _check_repository(repo)
    files: list[tuple[str, Path]] = []
    cards = []
    for row in rows:
        options = {"allow_network": allow_network, "progress": progress}
        weights = convert(row, **options) if row.origin == PUBLISHED else resolve(row, **options)
        cards.append(read_card(weights))
        files.append((f"{row.name}.safetensors", weights))
        files.append((f"{row.name}.json", weights.with_suffix(".json")))
    return Upload(repo, tuple(files), readme(repo, cards))


def _check_repository(repo: str) -> None:
    """Raise WeightsError for what the Hub would refuse once all files are fetched."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(repo)
        wrong = repo.count("/") != 1
    except HFValidationError:
        wrong = True
    if wrong:
        raise WeightsError(f"{repo!r} is no repository: owner/name is expected")


def publish(upload: Upload, *, private: bool = False, token: str | None = None) -> str:
    """Create the repository if need be and send everything in one commit; return the commit's id.

    Raises:
        WeightsError: not logged in, not allowed, or the Hub can't be reached.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    api = HfApi(token=token)
    operations = [CommitOperationAdd(name, str(path)) for name, path in upload.files]
    operations.append(CommitOperationAdd("README.md", upload.readme.encode()))
    try:
        api.create_repo(upload.repo, private=private, exist_ok=True)
        commit = api.create_commit(
            upload.repo, operations, commit_message=f"Mirror {len(upload.files) // 2} checkpoints"
        )
    except Exception as error:  # the client's network errors differ between its major versions
        status = getattr(getattr(error, "response", None), "status_code", None)
        why = {401: "log in with `hf auth login`", 403: "the token may not write there"}.get(status)
        raise WeightsError(
            f"nothing was published to {upload.repo}: {why or str(error).splitlines()[0][:160]}"
        ) from None
    return commit.oid


def readme(repo: str, cards: Sequence[dict[str, Any]]) -> str:
    """Return the mirror's model card: front matter, how to use it, one line per checkpoint."""
    lines = [
        "---",
        "license: other",
        "license_name: see-table",
        "tags: [feature-upsampling]",
        "---",
        "",
        "# Weights for the Feature Upsampling Explorer",
        "",
        f"Set `EXPLORER_WEIGHTS_REPO={repo}` and the Explorer loads these first. Every file keeps "
        "the",
        "licence of its authors; a converted file holds the same tensors as its source.",
        "",
        "| name | method | backbone | origin | licence | paper | sha256 | source sha256 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for card in cards:
        paper = card.get("paper") or ""
        source = (card.get("source") or {}).get("sha256", "")
        cells = (
            card["name"],
            card["method"],
            card["backbone"],
            card["origin"],
            card["licence"],
            f"[{paper}](https://arxiv.org/abs/{paper})" if paper else "",
            f"`{card['sha256'][:16]}`",
            f"`{source[:16]}`" if source else "",
        )
        lines.append("| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"
