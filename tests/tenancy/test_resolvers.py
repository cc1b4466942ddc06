"""Whose a request is, from its parts; and what it is told when it is nobody's."""

import json

import pytest

from caching_core.errors import ConfigInvalid
from caching_core.tenancy import (
    AttributeResolver,
    Cause,
    HeaderResolver,
    PathResolver,
    Rejection,
    RequestView,
    SubdomainResolver,
    resolve,
)

PROXY = "10.1.2.3"
HEADER = HeaderResolver(["10.0.0.0/8", "::1"])


def told(view, *resolvers, known=("a", "b")):
    return resolve(view, resolvers, is_known=set(known).__contains__)


def with_header(value, peer=PROXY):
    return RequestView(headers={"x-tenant-id": value}, peer=peer)


@pytest.mark.parametrize("peer", [PROXY, "10.255.255.255", "::1", "::ffff:10.1.2.3"])
def test_a_trusted_proxy_is_believed(peer):
    assert told(with_header("a", peer), HEADER) == "a"


@pytest.mark.parametrize("peer", ["11.1.2.3", "::2", "", "unix:", "testclient", "10.1.2.3, 11.1.2.3", "::ffff:11.1.2.3"])
def test_nobody_else_is_believed(peer):
    assert told(with_header("a", peer), HEADER) == Rejection(Cause.MISSING)


def test_without_trusted_proxies_the_header_says_nothing():
    assert told(with_header("a"), HeaderResolver([])) == Rejection(Cause.MISSING)


def test_another_header_can_be_named():
    view = RequestView(headers={"x-label": "b"}, peer=PROXY)
    assert told(view, HeaderResolver([PROXY], name="X-Label")) == "b"


@pytest.mark.parametrize(
    ("form", "path", "found"),
    [
        ("/t/{tenant}/", "/t/a/albums", "a"),
        ("/t/{tenant}/", "/t/a/", "a"),
        ("/t/{tenant}/", "/t/a", None),
        ("/t/{tenant}", "/t/a", "a"),
        ("/t/{tenant}/", "/albums/t/a/", None),
        ("/{tenant}/", "/b/", "b"),
        ("/t/{tenant}/", "/t//x", ""),
        ("/t/{tenant}/", "/t/..%2fa/", "..%2fa"),
    ],
)
def test_the_path_names_a_tenant(form, path, found):
    assert PathResolver(form)(RequestView(path=path)) == found


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("a.example.org", "a"),
        ("A.Example.ORG:8000", "a"),
        ("a.example.org.", "a"),
        ("example.org", None),
        ("www.example.org", None),
        ("aexample.org", None),
        ("a.example.org.evil.net", None),
        ("x.a.example.org", "x.a"),
        ("", None),
    ],
)
def test_the_host_names_a_tenant(host, found):
    assert SubdomainResolver("example.org")(RequestView(host=host)) == found


@pytest.mark.parametrize(
    "said", ["", "A", "a:b", "a b", "*", "../a", "a" * 64, "a, b", "\u0430cme", "a\r\nb", "a\0", "\u202ea", 7, b"a", ["a"]]
)
def test_what_is_no_tenant_id_is_a_bad_request(said):
    rejected = told(RequestView(attributes={"tenant": said}), AttributeResolver())
    assert rejected == Rejection(Cause.MALFORMED)
    assert rejected.status == 400


def test_a_request_without_any_tenant_is_a_bad_request():
    rejected = told(RequestView(), HEADER, PathResolver(), SubdomainResolver("example.org"), AttributeResolver())
    assert rejected == Rejection(Cause.MISSING)
    assert rejected.status == 400


def test_resolvers_that_agree_are_one():
    view = RequestView(path="/t/a/", headers={"x-tenant-id": "a"}, peer=PROXY, attributes={"tenant": "a"})
    assert told(view, HEADER, PathResolver(), AttributeResolver()) == "a"


@pytest.mark.parametrize("order", [1, -1])
def test_resolvers_that_disagree_are_forbidden_in_any_order(order):
    view = RequestView(headers={"x-tenant-id": "b"}, peer=PROXY, attributes={"tenant": "a"})
    rejected = told(view, *[HEADER, AttributeResolver()][::order])
    assert rejected == Rejection(Cause.CONTRADICTED)
    assert rejected.status == 403


def test_unknown_and_contradicted_cannot_be_told_apart():
    unknown = told(with_header("c"), HEADER)
    assert unknown == Rejection(Cause.UNKNOWN)
    assert unknown.status == 403
    assert unknown.body() == Rejection(Cause.CONTRADICTED).body()


def test_the_answer_is_a_problem_document():
    assert json.loads(Rejection(Cause.MISSING).body()) == {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "detail": "The request does not say which tenant it belongs to.",
    }


@pytest.mark.parametrize(
    "make",
    [
        lambda: HeaderResolver(["10.0.0.0/99"]),
        lambda: PathResolver("/t/"),
        lambda: PathResolver("t/{tenant}/"),
        lambda: PathResolver("/t{tenant}/"),
        lambda: PathResolver("/t/{tenant}x"),
        lambda: SubdomainResolver(".example.org"),
        lambda: SubdomainResolver("Example.org"),
    ],
)
def test_a_wrong_form_is_refused(make):
    with pytest.raises(ConfigInvalid):
        make()
