"""Photos, a tiny session and options that fit them."""

import pytest
from tiny import METHODS, TinySession, squares

from explorer.session import Options


@pytest.fixture(scope="session")
def photo():
    return squares(0, "squares.png")


@pytest.fixture(scope="session")
def other_photo():
    return squares(5, "others.png")


@pytest.fixture(scope="session")
def session():
    return TinySession()


@pytest.fixture(scope="session")
def options(photo):
    """Make options: 10x12 cells, 61x73 pixels, neither dividing the other."""

    def make(**changes):
        settings = {"backbones": ("tiny",), "upsamplers": METHODS, "query": (20, 50)}
        return Options(photo, **(settings | {"input_size": 96, "output_size": 73} | changes))

    assert make().output == (61, 73)
    return make
