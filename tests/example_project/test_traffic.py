"""The listeners: seeded, skewed, and of every label."""

from collections import Counter
from itertools import chain, islice

from example_project.configuration import ALBUMS, ARTISTS, LABELS, TRACKS
from example_project.traffic._figures import Figures
from example_project.traffic._visit import visits


def requests(seed, count):
    return list(islice(chain.from_iterable(visits(seed)), count))


def test_equal_seeds_give_equal_requests():
    assert requests(7, 1_000) == requests(7, 1_000)
    assert requests(7, 1_000) != requests(8, 1_000)


def test_some_tracks_are_popular_with_everybody_and_most_with_nobody():
    one, two = (Counter(each.path for each in requests(seed, 20_000) if each.path.split("/")[3] == "tracks") for seed in (1, 2))
    top = {path for path, _ in one.most_common(20)}
    assert len(top & {path for path, _ in two.most_common(60)}) >= 10
    assert one.most_common(1)[0][1] > 20 * sum(one.values()) / len(one)


def test_each_label_is_asked_for_what_is_its_own():
    asked = [each.path.split("/")[2:] for each in requests(3, 5_000)]
    assert {label for label, *_ in asked} == set(LABELS)
    for kind, each_has in (("artists", ARTISTS), ("tracks", ARTISTS * ALBUMS * TRACKS)):
        assert all((int(rest[0]) - 1) // each_has == LABELS.index(label) for label, what, *rest in asked if what == kind)


def test_a_visit_begins_a_session_and_goes_on_with_it():
    for visit in islice(visits(5), 50):
        assert (visit[0].method, visit[0].path.endswith("/sessions")) == ("POST", True)
        assert visit[-1].path.endswith("/sessions/{session}")


def test_figures_are_of_the_last_answers():
    figures = Figures()
    assert figures.line(1) == "no answer yet"
    for number in range(5_000):
        figures.add(1.0 if number < 1_000 else 0.002, is_good=number != 0)
    assert figures.line(10) == "5,000 requests, 1 failed, 500/s, p50 2.0 ms, p95 2.0 ms"
