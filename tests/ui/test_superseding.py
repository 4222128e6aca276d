"""Work that nobody wants any more stops: before the next layer, band or step, without an error."""

from __future__ import annotations

import threading
import time

import pytest
import torch
from torch import nn

gr = pytest.importorskip("gradio")

from explorer.imaging import open_photo  # noqa: E402
from explorer.resources.request_context import (  # noqa: E402
    RequestContext,
    Superseded,
    TooSlowError,
    check_between_layers,
    check_time,
    current,
    steps,
    use,
)
from explorer.server import serving  # noqa: E402
from explorer.session import Options, Session  # noqa: E402
from explorer.ui import layout  # noqa: E402
from explorer.ui.choices import example_photos  # noqa: E402
from explorer.ui.latest import LatestState  # noqa: E402
from explorer.views import VIEWS  # noqa: E402

SMALL = {"input_size": 64, "output_size": 64}


class Countdown:
    """Whether a request is wanted: so many times it is, and then no more."""

    def __init__(self, times: int):
        self.left = times

    def __call__(self) -> bool:
        self.left -= 1
        return self.left >= 0


def test_a_network_stops_between_two_layers():
    ran = []

    class Layer(nn.Module):
        def forward(self, x):
            ran.append(len(ran))
            return x

    network = nn.Sequential(Layer(), nn.Sequential(Layer(), Layer()), Layer())
    check_between_layers(network)
    with use(RequestContext(is_wanted=Countdown(2))), pytest.raises(Superseded):
        network(torch.zeros(1))
    assert ran == [0, 1]
    network(torch.zeros(1))
    assert len(ran) == 6


@pytest.mark.parametrize("view", ["pca", "attention", "similarity"])
def test_a_view_stops_at_every_step_and_shows_no_error(view):
    session = Session("cpu", allow_network=False)
    photo = open_photo(example_photos()["cat"])
    options = Options(photo, upsamplers=("bilinear", "anyup"), query=(5, 5), **SMALL)
    whole = list(VIEWS.create(view).stream(session, options))
    asked = Countdown(10**9)
    session.results.clear()
    list(steps(RequestContext(is_wanted=asked), VIEWS.create(view).stream(session, options)))
    looks = 10**9 - asked.left
    assert looks > 30, "every layer of the backbone and of the encoders asks"
    for times in {0, 1, looks // 4, looks // 2, looks - 1}:
        session.results.clear()
        panels = []
        with pytest.raises(Superseded):
            for panel in steps(
                RequestContext(is_wanted=Countdown(times)),
                VIEWS.create(view).stream(session, options),
            ):
                panels.append(panel)
        assert not [panel.error for panel in panels if panel.error]
    again = list(steps(RequestContext(), VIEWS.create(view).stream(session, options)))
    assert [panel.column for panel in again] == [panel.column for panel in whole]
    assert all((a.image == b.image).all() for a, b in zip(again, whole, strict=True))


def test_a_stopped_request_leaves_nothing_locked_for_others():
    session = Session("cpu", allow_network=False)
    options = Options(open_photo(example_photos()["cat"]), upsamplers=("anyup",), **SMALL)
    with use(RequestContext(is_wanted=Countdown(20))), pytest.raises(Superseded):
        session.resampler(options, "efficientnet_lite0", "anyup")
    done = threading.Event()

    def other():
        session.resampler(options, "efficientnet_lite0", "anyup")
        done.set()

    threading.Thread(target=other, daemon=True).start()
    assert done.wait(60)


def test_steps_answers_for_its_request_only_while_it_works():
    seen = []

    def parts():
        for _ in range(2):
            seen.append(current().visitor)
            yield current().visitor

    outside = []
    for part in steps(RequestContext("a"), parts()):
        assert part == "a"
        outside.append(current().visitor)
    assert seen == ["a", "a"] and outside == ["", ""]


def test_steps_closes_what_it_reads():
    closed = []

    def parts():
        try:
            yield 1
            yield 2
        finally:
            closed.append(True)

    reading = steps(RequestContext(), parts())
    assert next(reading) == 1
    reading.close()
    assert closed == [True]


def working(latest, visitor, state, log):
    def parts():
        for n in range(3):
            check_time()
            log.append((state, n))
            yield n

    return latest.work(visitor, state, parts())


def test_another_state_of_the_same_page_ends_the_work():
    latest, log = LatestState(), []
    work = working(latest, "me", ["photo", 448], log)
    assert next(work) == 0
    latest.announce("me", ["photo", 448])
    assert next(work) == 1
    latest.announce("me", ["photo", 896])
    assert list(work) == []
    assert log == [(["photo", 448], 0), (["photo", 448], 1)]


def test_the_state_of_another_visitor_changes_nothing():
    latest, log = LatestState(), []
    work = working(latest, "me", ["photo", {"a": [1]}], log)
    next(work)
    latest.announce("you", ["other photo", {}])
    assert list(work) == [1, 2]


def test_newer_work_supersedes_even_if_nothing_was_announced():
    latest, log = LatestState(), []
    old = working(latest, "me", 1, log)
    next(old)
    new = working(latest, "me", 2, log)
    assert list(new) == [0, 1, 2]
    assert list(old) == []


def test_the_deadline_of_the_request_still_counts():
    latest = LatestState()

    def parts():
        check_time()
        yield 1

    with use(RequestContext("me", until=0.0, seconds=1.0)), pytest.raises(TooSlowError):
        list(latest.work("me", 1, parts()))


def test_forgotten_visitors_work_goes_on(monkeypatch):
    monkeypatch.setattr("explorer.ui.latest.MOST_VISITORS", 2)
    latest, log = LatestState(), []
    work = working(latest, "first", 1, log)
    next(work)
    for visitor in "abc":
        latest.announce(visitor, 0)
    assert list(work) == [1, 2]


@pytest.fixture(scope="module")
def guarded_address(serve, session):
    demo = layout.build(session)
    options = serving.prepare(demo, session, serving.Serving())
    options.pop("ssr_mode")
    return serve(demo, css=layout.CSS, **options)


def endless(session, monkeypatch, name):
    """Let the features of one photo take until somebody stops them; say whether anybody did."""
    began, stopped, features = threading.Event(), threading.Event(), session.features

    def wait_to_be_stopped(options, backbone):
        if options.photo.name.startswith(name):
            began.set()
            until = time.monotonic() + 90
            try:
                while time.monotonic() < until:
                    check_time()
                    time.sleep(0.01)
            except Superseded:
                stopped.set()
                raise
        return features(options, backbone)

    monkeypatch.setattr(session, "features", wait_to_be_stopped)
    return began, stopped


def example(page, name):
    page.locator("#examples button").nth(list(example_photos()).index(name)).click()


def showing(page, text):
    page.wait_for_function(
        "text => document.querySelector('#status .done')?.textContent.includes(text)", arg=text
    )


@pytest.mark.browser
def test_a_photo_chosen_meanwhile_stops_the_work_on_the_one_before(
    guarded_address, visit, session, monkeypatch
):
    first = next(iter(example_photos()))
    page = visit(guarded_address + "?output_size=112&input_size=112&upsamplers=bilinear")
    showing(page, "panels at")
    began, stopped = endless(session, monkeypatch, "cat")
    example(page, "cat")
    assert began.wait(60)
    assert not stopped.is_set()
    example(page, first)
    assert stopped.wait(30)
    showing(page, "panels at")


@pytest.mark.browser
def test_a_page_that_is_left_computes_no_more(guarded_address, visit, session, monkeypatch):
    page = visit(guarded_address + "?output_size=112&input_size=112&upsamplers=bilinear")
    showing(page, "panels at")
    began, stopped = endless(session, monkeypatch, "cat")
    example(page, "cat")
    assert began.wait(60)
    page.goto("about:blank")
    assert stopped.wait(30)
    page.complaints.clear()  # Gradio's page complains about the stream that leaving cut
