"""The browser and the page it looks at, for every test of this folder."""

import pytest
from browser import context, visit

__all__ = ["address", "context", "session", "visit"]


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
