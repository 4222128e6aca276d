"""The browser and the page it looks at, for every test of this folder."""

import pytest
from browser import context, visit
from gradio import utils

__all__ = ["address", "context", "session", "visit"]


@pytest.fixture(autouse=True)
def no_streamed_value_is_lost(monkeypatch):
    """No streaming listener yields ``gr.skip()`` for an output after a value.

    Gradio's page edits a streamed object in place into the next one. On a busy page that happens
    before the object was shown, and a value edited into a skip never is.
    """
    lost = []
    real = utils.diff

    def diff(old, new):
        if isinstance(old, dict) and len(old) > 1 and new == {"__type__": "update"}:
            lost.append(sorted(old))
        return real(old, new)

    monkeypatch.setattr(utils, "diff", diff)
    yield
    assert not lost


@pytest.fixture(scope="module")
def session():
    """A session that trusts its visitor; a module with another one overrides it."""
    from explorer.session import Session

    return Session("cpu", allow_network=False)


@pytest.fixture(scope="module")
def address(serve, session):
    """The whole page for the module's session."""
    from explorer.ui import layout

    demo = layout.build(session)
    demo.queue(max_size=32, default_concurrency_limit=1)
    return serve(demo, css=layout.CSS, strict_cors=True, max_file_size="32mb")
