"""Key templates: what is an identifier is cut out, what is a word stays."""

import pytest

from caching_core.learning import template_of


@pytest.mark.parametrize(
    ("key", "template"),
    [
        ("user:17:profile", "user:{}:profile"),
        ("user:{}:profile", "user:{}:profile"),
        ("report", "report"),
        ("page/12/comments/7", "page/{}/comments/{}"),
        ("user-17", "user-{}"),
        ("v2:user:17", "v{}:user:{}"),
        ("order:3f2504e0-4f89-11d3-9a0c-0305e82c3301:lines", "order:{}:lines"),
        ("blob:9e107d9d372bb6826bd81d3542a419d6", "blob:{}"),
        ("session:Jx2mQpLr7TzAvKbN4cWd", "session:{}"),
        ("django.contrib.sessions.cacheq8w7e6r5t4y3u2i1o0p9a8s7d6f5g4h3", "django.contrib.sessions.{}"),
        ("mail:ada@example.org:inbox", "mail:{}:inbox"),
        ("user:ada:profile", "user:ada:profile"),
        ("artist:settings_of_the_label", "artist:settings_of_the_label"),
        ("künstler:17", "künstler:{}"),
    ],
)
def test_identifiers_are_cut_out(key, template):
    assert template_of(key) == template


def test_a_long_key_takes_no_longer_than_its_beginning():
    assert template_of("a-" * 100_000) == template_of("a-" * 128)
