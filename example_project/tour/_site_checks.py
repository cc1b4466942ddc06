"""The checks of the whole site: what one framework does, the others see, and only in the same tenant."""

import re
import secrets
import statistics
import time
from collections.abc import Callable

from prometheus_client.parser import text_string_to_metric_families

from example_project.configuration import ARTISTS, LABELS
from example_project.tour._checks import expect, holding
from example_project.tour._client import Client
from example_project.tour._crew import CheckFailed, CheckSkipped
from example_project.tour._site import Site, answers

SiteCheck = Callable[[Site], str]
_PAGES = 12
_OUTAGE = 6.0  # longer than l1_max_age: memory alone cannot bridge it
_HEALTH = re.compile(r"Task caching\.health_check\[[0-9a-f-]+\] succeeded in [0-9.]+s: (.*)")


def set_in_django_read_in_fastapi(site: Site) -> str:
    """Save an announcement in Django's admin; FastAPI reads it from the cache for that label, and finds none for another."""
    text = f"New records at {time.time():.0f}"
    site.admin().submit("/admin/catalogue/label/acme/change/", slug="acme", name="Acme", announcement=text)
    expect(site.api.json("/t/acme/announcement"), (200, {"text": text}), "acme's announcement in FastAPI")
    expect(site.api.json("/t/globex/announcement")[0], 404, "globex's announcement in FastAPI")
    expect(site.api.ask("/t/umbrella/announcement")[0], 403, "a label that does not exist")
    return "set by Django under acme, read by FastAPI under acme, a miss under globex, 403 for a label that is none"


def an_edit_reaches_all(site: Site) -> str:
    """Change an artist in the admin: the next read of every process shows it."""
    admin = site.admin()
    for turn in range(5):
        name = f"The Tour {turn}"
        site.api.json("/t/acme/artists/1")
        site.django.ask("/t/acme/artists/1/")
        admin.submit("/admin/catalogue/artist/1/change/", label="acme", name=name, biography="Changed by the tour.")
        expect(site.api.json("/t/acme/artists/1")[1]["name"], name, "the artist in FastAPI")
        expect(f"<h1>{name}</h1>" in site.django.ask("/t/acme/artists/1/")[1], wanted=True, what="the artist on Django's page")
    return "5 edits in the admin, each seen by Django and FastAPI at the next read: one tag invalidates what both hold"


def a_page_gets_faster(site: Site) -> str:
    """Ask for pages that nobody has asked for, then for the same again."""
    first = 2 * ARTISTS + 1  # the third label's
    paths = [f"/t/{LABELS[2]}/artists/{number}" for number in range(first, first + _PAGES)]
    timed(site.api, f"/t/{LABELS[2]}/artists/{first + _PAGES}")  # the connection to the database is made
    cold = statistics.median(timed(site.api, path) for path in paths)
    warm = statistics.median(timed(site.api, path) for path in [*paths, *paths])
    if warm >= cold:
        raise CheckFailed(f"a page took {cold * 1e3:.1f} ms from the database and {warm * 1e3:.1f} ms from the cache")
    return (
        f"{_PAGES} artists' pages: {cold * 1e3:.1f} ms from the database, {warm * 1e3:.1f} ms from the cache (median, with the HTTP trip)"
    )


def timed(client: Client, path: str) -> float:
    """Return the seconds that a good answer took."""
    begun = time.perf_counter()
    expect(client.ask(path)[0], 200, path)
    return time.perf_counter() - begun


def sessions_are_the_tenants(site: Site) -> str:
    """Begin a session with one label: another does not know it; ending a listener's sessions ends it."""
    status, session = site.api.json("/t/acme/sessions", method="POST", value={"name": "ada"})
    expect(status, 201, "a new session")
    for count in range(1, 4):
        played = site.api.json(f"/t/acme/sessions/{session['id']}/plays", method="POST", value={})
        expect(played[1]["plays"], count, "plays counted")
    expect(site.api.json(f"/t/acme/sessions/{session['id']}")[1]["plays"], 3, "plays in the session")
    expect(site.api.json(f"/t/globex/sessions/{session['id']}")[0], 404, "the session under another label")
    expect(site.api.json("/t/acme/listeners/ada/sessions", method="DELETE")[0], 204, "the end of ada's sessions")
    expect(site.api.json(f"/t/acme/sessions/{session['id']}")[0], 404, "the session after its end")
    return "begun with acme, 3 plays counted, unknown to globex, ended with all of the listener's by one tag"


def health_on_beat(site: Site) -> str:
    """Wait for a health check that beat has sent."""
    site.wait_until(lambda: "caching-health-check" in site.words("beat") and _HEALTH.search(site.words("worker")), "a health check on beat")
    found = _HEALTH.search(site.words("worker"))
    result = found.group(1) if found else ""
    if "'status': 'ok'" not in result:
        raise CheckFailed(f"the worker's health check says {result}")
    return f"beat sent it, the worker did it, each level answers ({result.count(chr(39) + 'up' + chr(39))} up)"


def tasks_know_their_tenant(site: Site) -> str:
    """Send one task in the name of each label: it works in that label's cache."""
    made = site.tasks(*((label, "charts.refresh") for label in LABELS))
    expect(made, list(LABELS), "the labels that the tasks worked for")
    firsts = [site.api.json(f"/t/{label}/chart")[1][0]["id"] for label in LABELS]
    expect([(number - 1) // (ARTISTS * 18) for number in firsts], [0, 1, 2], "whose track leads each chart")
    return f"{len(LABELS)} charts made by Celery, each in the tenant of who sent the task, read by FastAPI"


def a_recommendation(site: Site) -> str:
    """Let the worker, whose memory is small on purpose, read more than it can hold; ask it what to change."""
    rounds = [(label, "charts.warm") for _ in range(3) for label in LABELS[:2]]
    *_, advice = site.tasks(*rounds, (None, "caching.optimize"))
    sizes = [each for each in advice["recommendations"] if each["kind"] == "l1_size"]
    if not sizes:
        raise CheckFailed(f"nothing was recommended; the figures were {advice['figures']}")
    found = sizes[0]
    return f"{found['setting']} from {found['current']} to {found['proposed']}: {found['description']}"


def audit_holds(site: Site) -> str:
    """Have the audit log counted and its chain verified by a task."""
    (report,) = site.tasks((None, "caching.audit_report"))
    expect(report["chain"]["status"], "good", f"the chain ({report['chain']['finding']})")
    if report["events"] < len(LABELS):
        raise CheckFailed(f"{report['events']} events, though {len(LABELS)} labels have had keys made")
    return f"{report['chain']['status']}: {report['records']} records of the last day, {report['chain']['checkpoints']} signed checkpoints"


def metrics_are_scraped(site: Site) -> str:
    """Scrape FastAPI as Prometheus does."""
    site.api.json("/t/acme/chart")
    status, text = site.api.ask("/metrics")
    expect(status, 200, "/metrics")
    families = {family.name: family for family in text_string_to_metric_families(text)}
    hits = sum(sample.value for sample in families["cache_hits"].samples if sample.labels.get("tenant_id") == "acme")
    if hits <= 0:
        raise CheckFailed("the scrape shows no hit of acme")
    return f"{len(families)} families; acme has {hits:.0f} hits"


def admin_pages_are_there(site: Site) -> str:
    """Open the pages of the section Caching, which only staff may see."""
    pages = ("/admin/caching/cache/", "/admin/caching/audit/?verify=1")
    admin = site.admin()
    seconds = [timed(admin, page) for page in pages]
    expect([site.django.ask(page)[0] for page in pages], [302, 302], "the pages without a login")
    expect("Hit ratio" in admin.ask(pages[0])[1], wanted=True, what="the hit ratio on the page Overview")
    overview, audit = (f"{each * 1e3:.0f} ms" for each in seconds)
    return f"Overview in {overview}, Audit with its chain verified in {audit}; a stranger is sent to the login"


def nothing_in_clear_on_the_server(site: Site) -> str:
    """Search what the server has written down for a text that went through the cache."""
    if site.server is None:
        raise CheckSkipped("no Valkey or Redis here")
    marker, control = secrets.token_hex(16), secrets.token_hex(16)
    site.admin().submit("/admin/catalogue/label/initech/change/", slug="initech", name="Initech", announcement=marker)
    expect(site.api.json("/t/initech/announcement"), (200, {"text": marker}), "the marker through the cache")
    site.server.call("SET", "control", control)
    files = [path for path in (site.folder / "server").rglob("*") if path.is_file()]
    if not holding(control.encode(), files):
        raise CheckFailed("the search did not find what was stored without the cache")
    found = holding(marker.encode(), files)
    if found:
        raise CheckFailed(f"the marker stands in {', '.join(path.name for path in found)}")
    size = sum(path.stat().st_size for path in files)
    return f"searched {size / 1024:.0f} KiB that the server keeps: found 0 times, and what was stored beside the cache was found"


def the_server_is_killed(site: Site) -> str:
    """Kill the server of the cache: the site goes on without it, and with it again, by itself."""
    if site.server is None:
        raise CheckSkipped("no Valkey or Redis here")
    path = "/t/acme/artists/2"
    expect(site.api.ask(path)[0], 200, path)
    site.server.kill()
    begun, times = time.monotonic(), list[float]()
    while time.monotonic() - begun < _OUTAGE:
        times += [timed(site.api, path), timed(site.django, f"{path}/"), timed(site.api, f"/t/globex/artists/{ARTISTS + 1}")]
    expect([client.ask("/healthz")[0] for client in (site.api, site.django)], [503, 503], "health while the server is away")
    site.server.start()
    back = time.monotonic()
    site.wait_until(lambda: answers(site.api) and answers(site.django), "Django and FastAPI have the server again", 10)
    took = time.monotonic() - back
    set_in_django_read_in_fastapi(site)
    served = f"{len(times)} pages, all served, the slowest in {max(times) * 1e3:.0f} ms"
    return f"away for {_OUTAGE:.0f} s: {served}; back after {took:.1f} s, and shared again"


SITE_CHECKS: tuple[tuple[str, SiteCheck], ...] = (
    ("Django and FastAPI share", set_in_django_read_in_fastapi),
    ("an edit reaches all", an_edit_reaches_all),
    ("a page gets faster", a_page_gets_faster),
    ("sessions are the tenant's", sessions_are_the_tenants),
    ("tasks know their tenant", tasks_know_their_tenant),
    ("health on beat", health_on_beat),
    ("a recommendation", a_recommendation),
    ("the site's audit log verifies", audit_holds),
    ("nothing in clear on the server", nothing_in_clear_on_the_server),
    ("the cache's server is killed", the_server_is_killed),
    ("metrics are scraped", metrics_are_scraped),
    ("admin pages are there", admin_pages_are_there),
)
