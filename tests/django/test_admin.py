"""The admin pages over Django's test client: permissions, live figures, filters, and what a page says when there is nothing."""

import json
import re

import pytest
from django.contrib.auth.models import Permission, User
from django.core.cache import cache, caches
from django.core.management import call_command
from django.test import Client, override_settings

from caching_core import use_tenant

OVERVIEW, AUDIT = "/admin/caching/cache/", "/admin/caching/audit/"


@pytest.fixture(scope="module")
def database():
    """The tables of the installed apps, in memory."""
    from django.db import connection

    call_command("migrate", verbosity=0)
    yield
    connection.close()


@pytest.fixture
def site(tmp_path, database):
    """Put an alias in force: ``site(OPTIONS={…})``; its managers are closed at the end."""
    used = []

    def use(**params):
        alias = {"BACKEND": "caching_django.TieredCache", "LOCATION": str(tmp_path / "cache"), **params}
        used.append(override_settings(CACHES={"default": alias}))
        used[-1].enable()

    yield use
    for each in used:
        caches["default"].shared.manager.close()
        each.disable()
    User.objects.all().delete()


@pytest.fixture
def client(database):
    """Log in a staff user with permissions: ``client("view_cache")``; without any: a superuser."""

    def make(*codenames):
        made = User.objects.create_user("staff", password="x", is_staff=True, is_superuser=not codenames)
        made.user_permissions.set(Permission.objects.filter(codename__in=codenames, content_type__app_label="caching"))
        logged = Client()
        logged.force_login(made)
        return logged

    return make


def text_of(response):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))


def test_the_index_has_a_section_with_two_pages(site, client):
    site()
    page = client().get("/admin/").content.decode()
    assert "Caching" in page
    assert OVERVIEW in page
    assert AUDIT in page


@pytest.mark.parametrize(("page", "permission"), [(OVERVIEW, "view_cache"), (AUDIT, "view_audit")])
def test_a_page_asks_for_its_permission(site, client, page, permission):
    site()
    allowed = client(permission)
    assert allowed.get(page).status_code == 200
    other = AUDIT if page == OVERVIEW else OVERVIEW
    assert allowed.get(other).status_code == 403
    assert allowed.get(other, {"format": "json"}).status_code == 403
    assert Client().get(page).status_code == 302
    assert other not in allowed.get("/admin/").content.decode()


@pytest.mark.parametrize("page", [OVERVIEW, AUDIT])
def test_nothing_can_be_added_changed_or_deleted(site, client, page):
    site()
    superuser = client()
    assert superuser.post(page, {"action": "delete_selected"}).status_code == 405
    assert superuser.get(f"{page}add/").status_code == 403
    assert superuser.get(f"{page}1/change/").status_code in {302, 403}
    assert superuser.post(f"{page}1/delete/", {"post": "yes"}).status_code in {302, 403}


def test_the_overview_shows_what_happened(site, client):
    site()
    cache.set("k", "v")
    for _ in range(3):
        assert cache.get("k") == "v"
    cache.get("missing")
    viewer = client("view_cache")
    page = text_of(viewer.get(OVERVIEW))
    assert "Hits in memory 2" in page
    assert "Hit ratio 75.0 %" in page
    assert "has not used the cache yet" not in page
    cache.get("k")
    answer = json.loads(viewer.get(OVERVIEW, {"format": "json"}).content)
    assert answer["figures"]["hits_l1"] == "3"
    assert answer["problem"] == ""


def test_every_figure_is_explained(site, client):
    site()
    page = client().get(OVERVIEW).content.decode()
    rows = re.findall(r'<tr><th scope="row">(.*?)</th><td[^>]*data-figure="(\w+)">(.*?)</td><td>(.*?)</td></tr>', page)
    assert len(rows) > 20
    assert [label for label, _, value, meaning in rows if not value or not meaning.endswith(".")] == []


@pytest.mark.parametrize("page", [OVERVIEW, AUDIT])
def test_a_page_holds_no_inline_script_or_style_of_ours(site, client, page):
    site()
    body = client().get(page).content.decode()
    ours = body[body.index('class="caching-page"') :]
    assert "<script" not in ours
    assert "style=" not in ours
    assert " on" not in re.sub(r">[^<]*<", "><", ours)


def test_an_unused_cache_says_what_to_do(site, client):
    site()
    assert "manage.py cache set greeting hello" in text_of(client().get(OVERVIEW))


def test_without_an_alias_of_ours_the_page_says_how_to_make_one(client):
    for page in (OVERVIEW, AUDIT):
        response = Client()
        response.force_login(User.objects.filter(username="staff").first() or User.objects.create_superuser("staff"))
        assert "TieredCache" in text_of(response.get(page))
    User.objects.all().delete()


def test_a_cache_that_cannot_be_opened_says_why(database, client):
    alias = {"BACKEND": "caching_django.TieredCache", "OPTIONS": {"L1_MAX_SISE": 1}}
    with override_settings(CACHES={"default": alias}):
        page = text_of(client().get(OVERVIEW))
    assert "did you mean l1_max_size" in page
    assert "manage.py check" in page
    User.objects.all().delete()


def test_the_audit_page_filters_and_verifies(site, client):
    site()
    cache.set("k", "v")
    cache.clear()
    cache.manager.clear_all()
    viewer = client("view_audit")
    page = text_of(viewer.get(AUDIT))
    assert "ADMIN clear ok" in page
    assert "ADMIN clear_all ok" in page
    assert "SYSTEM started ok" in page
    assert "Tenant" not in page
    filtered = text_of(viewer.get(AUDIT, {"class": "ADMIN", "action": "clear_all"}))
    assert "ADMIN clear_all ok" in filtered
    assert "SYSTEM started" not in filtered
    assert "No record fits" in text_of(viewer.get(AUDIT, {"action": "nothing"}))
    assert "The chain holds" in text_of(viewer.get(AUDIT, {"verify": "1"}))


def test_the_audit_page_finds_the_log_beside_a_server(site, client, on_redis):
    site(OPTIONS=on_redis())
    cache.clear()
    page = text_of(client().get(AUDIT, {"verify": "1"}))
    assert "ADMIN clear ok" in page
    assert "The chain holds" in page


def test_a_broken_chain_is_told(site, client, tmp_path):
    import sqlite3

    site()
    cache.clear()
    assert cache.manager.flush_audit()
    with sqlite3.connect(tmp_path / "cache" / "audit.db") as connection:
        connection.execute("UPDATE records SET body = CAST(replace(CAST(body AS TEXT), 'ADMIN', 'OTHER') AS BLOB)")
    connection.close()
    assert "The chain does not hold" in text_of(client().get(AUDIT, {"verify": "1"}))


def test_tenants_are_shown_where_there_are_any(site, client):
    site(OPTIONS={"TENANTS": ["a", "b"]})
    for tenant in ("a", "b"):
        with use_tenant(tenant):
            cache.clear()
    viewer = client()
    assert "Tenant" in text_of(viewer.get(AUDIT))
    only = text_of(viewer.get(AUDIT, {"tenant": "a", "action": "clear"}))
    assert "clear ok a" in only
    assert "clear ok b" not in only


@pytest.mark.parametrize(("options", "words"), [({"AUDIT": {"ENABLED": False}}, "enabled = False"), ({"L2_ENABLED": False}, "LOCATION")])
def test_where_nothing_is_recorded_the_page_says_why(site, client, options, words):
    site(OPTIONS=options)
    assert words in text_of(client().get(AUDIT))


def test_what_comes_from_outside_is_escaped(site, client):
    site()
    viewer = client()
    for page in (OVERVIEW, AUDIT):
        body = viewer.get(page, {"alias": "<script>x", "action": '"><script>y', "tenant": "<script>z"}).content.decode()
        assert "<script>x" not in body
        assert "<script>y" not in body
