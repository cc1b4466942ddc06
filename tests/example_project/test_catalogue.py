"""The site without a server: what one framework changes, the others see, in the tenant whose data it is."""

import json
import os
import subprocess
import sys

import pytest

SCRIPT = """
import json, os
os.environ["DJANGO_SETTINGS_MODULE"] = "example_project.web.settings"
from example_project.api.app import app
from django.conf import settings
settings.ALLOWED_HOSTS.append("testserver")
from django.core.management import call_command
call_command("seed", verbosity=0)
call_command("seed", verbosity=0)
from django.test import Client
from fastapi.testclient import TestClient
from caching_core import use_tenant
from example_project.catalogue.models import Album, Artist, Label, Track
from example_project.jobs import charts
from example_project.jobs.app import app as celery

found = {"tracks": Track.objects.count()}
django = Client()
django.login(username="admin", password="secret")

def page(label, artist):
    text = django.get(f"/t/{label}/artists/{artist}/").content.decode()
    return text.partition("<h1>")[2].partition("</h1>")[0]

with TestClient(app) as api:
    def name(label, artist):
        return api.get(f"/t/{label}/artists/{artist}").json().get("name")

    assert name("acme", 1) == page("acme", 1) != ""
    artist = Artist.objects.get(pk=1)
    artist.name = "Renamed"
    artist.save()
    found["renamed"] = [name("acme", 1), page("acme", 1)]
    api.get("/t/acme/tracks/1")
    Track.objects.get(pk=1).delete()
    albums = api.get("/t/acme/artists/1").json()["albums"]
    found["deleted"] = [api.get("/t/acme/tracks/1").status_code, sum(len(album["tracks"]) for album in albums)]
    Album.objects.filter(artist_id=1).first().delete()
    found["albums"] = len(api.get("/t/acme/artists/1").json()["albums"])
    found["foreign"] = [api.get(f"/t/{label}/artists/100").status_code for label in ("acme", "globex", "umbrella")]
    found["django"] = [django.get(path).status_code for path in ("/t/acme/artists/100/", "/t/umbrella/", "/", "/t/acme/", "/healthz")]
    for text in ("Hello", ""):
        form = {"slug": "acme", "name": "Acme", "announcement": text}
        assert django.post("/admin/catalogue/label/acme/change/", form).status_code == 302
        answers = [api.get(f"/t/{label}/announcement") for label in ("acme", "globex")]
        found[f"announcement {text}"] = [answer.status_code for answer in answers]
    similar = api.get("/t/acme/tracks/20/similar").json()
    found["similar"] = [len(similar), similar == api.get("/t/acme/tracks/20/similar").json(), all(s["likeness"] <= 1 for s in similar)]
    session = api.post("/t/acme/sessions", json={"name": "ada"}).json()["id"]
    bad = api.post("/t/acme/sessions", json={"name": "../x"}).status_code
    found["session"] = [bad, api.get(f"/t/globex/sessions/{session}").status_code, api.get(f"/t/acme/sessions/{session}").json()["plays"]]
    celery.conf.task_always_eager = True
    Track.objects.filter(pk=50).update(plays=10**9)
    found["labels"] = charts.refresh_all.delay().get()
    found["chart"] = [api.get(f"/t/{label}/chart").json()[0]["id"] for label in ("acme", "globex")]
    with use_tenant("globex"):
        found["warm"] = charts.warm.delay().get()
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found(checkout, tmp_path_factory):
    """Run the site once, in a process of its own; return what was seen."""
    folder = tmp_path_factory.mktemp("site")
    path = [checkout, *(checkout / "integrations").iterdir(), checkout / "tasks"]
    environ = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, path)),
        "CATALOGUE_DATA": str(folder / "data"),
        "CATALOGUE_ADMIN_PASSWORD": "secret",
    }
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_seed_is_sown_once(found):
    assert found["tracks"] == 3 * 60 * 3 * 6


def test_a_change_in_django_is_seen_by_fastapi_at_the_next_read(found):
    assert found["renamed"] == ["Renamed", "Renamed"]
    assert found["deleted"] == [404, 17]
    assert found["albums"] == 2


def test_what_is_of_another_label_is_not_there(found):
    assert found["foreign"] == [404, 200, 403]
    assert found["django"] == [404, 403, 400, 200, 200]
    assert found["session"] == [422, 404, 0]


def test_an_announcement_goes_through_the_cache_alone(found):
    assert found["announcement Hello"] == [200, 404]
    assert found["announcement "] == [404, 404]


def test_embeddings_find_their_like(found):
    assert found["similar"] == [5, True, True]


def test_tasks_work_for_the_label_of_who_sends_them(found):
    assert found["labels"] == 3
    assert found["chart"][0] == 50
    assert found["chart"][1] > 1080
    assert found["warm"] == 60
