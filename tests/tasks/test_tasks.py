"""What the tasks return and refuse, run where they are called."""

import json

import pytest
from celery import Celery
from celery.exceptions import Retry

import caching_tasks
from caching_core import CacheConfig, SyncCacheManager, current_tenant, use_actor, use_tenant
from caching_core.errors import ConfigInvalid, TierUnavailable
from caching_core.tenancy import Actor, current_actor
from caching_core.tiers.disk import DiskStore


@pytest.fixture
def settings(tmp_path) -> dict[str, object]:
    return {"directory": str(tmp_path / "cache")}


@pytest.fixture
def manager(settings):
    with SyncCacheManager(settings) as opened:
        yield opened


@pytest.fixture
def celery():
    """Make an application of this process, which has nothing to do with the others."""
    made = []

    def make(cache=None, **conf):
        app = Celery("t", broker="memory://", backend="cache+memory://", set_as_current=False)
        app.conf.update(task_always_eager=True, **conf)
        caching_tasks.install(app, cache)
        made.append(app)
        return app

    yield make
    for app in made:
        app.close()


def run(app, name, **kwargs):
    result = app.tasks[f"caching.{name}"].apply(kwargs=kwargs, throw=True).get()
    assert json.loads(json.dumps(result)) == result
    return result


def test_health_is_that_of_the_levels(celery, settings, manager):
    found = run(celery(settings), "health_check")
    assert (found["status"], found["healthy"]) == ("ok", True)
    assert [(tier["level"], tier["status"]) for tier in found["tiers"]] == [("l1", "up"), ("l2", "up")]


async def _away(*_args, **_kwargs):
    raise TierUnavailable("gone fishing")


def test_a_level_that_is_down_is_a_result_and_a_line_in_the_log(celery, settings, manager, monkeypatch, caplog):
    app = celery(settings)
    monkeypatch.setattr(DiskStore, "get", _away)
    found = run(app, "health_check", once_in=60)
    assert (found["status"], found["healthy"]) == ("degraded", False)
    assert "gone fishing" in caplog.text
    assert "gone fishing" not in json.dumps(found)


def test_what_was_done_just_before_is_not_done_again(celery, settings, manager):
    one, two = celery(settings), celery(settings)
    assert run(one, "health_check", once_in=60)["status"] == "ok"
    assert run(two, "health_check", once_in=60)["status"] == "skipped"
    assert run(two, "health_check")["status"] == "ok"
    assert run(two, "optimize", once_in=60)["status"] == "ok"
    # A task that is run again after its worker was killed, or that retries, has the same id and goes on.
    again = two.tasks["caching.audit_report"]
    for _ in range(2):
        assert again.apply(kwargs={"once_in": 60}, task_id="same", throw=True).get()["status"] == "good"


@pytest.mark.parametrize("extra", [{"tenants": ["acme", "globex"]}, {"tenant": "acme"}, {"disabled": True}, {"cache_levels": 1}])
def test_a_lease_needs_no_tenant_of_the_caller(celery, settings, extra):
    app = celery({**settings, **extra})
    assert run(app, "health_check", once_in=60)["status"] == "ok"
    assert run(app, "health_check", once_in=60)["status"] == ("ok" if "disabled" in extra else "skipped")


def test_recommendations_come_with_their_figures(celery, settings):
    config = {**settings, "l1_max_size": 10, "learning": {"min_data_points": 100}}
    with SyncCacheManager(config) as manager:
        for number in range(50):
            manager.set(f"k{number}", number)
        for _ in range(5):
            manager.get_many([f"k{number}" for number in range(50)])
        before = manager.stats()
        found = run(celery(config), "optimize")
        assert manager.config.l1.max_entries == 10
    (advice,) = found["recommendations"]
    assert (advice["kind"], advice["setting"], advice["current"], advice["proposed"]) == ("l1_size", "l1_max_size", "10", "20")
    assert advice["evidence"]["hits_l2"] == before.hits_l2 > 0
    assert found["figures"]["hits_l1"] == before.hits_l1


def test_a_report_counts_what_the_log_holds(celery, settings, manager):
    with use_tenant("acme"):
        manager.clear()
        manager.clear()
    manager.clear(tenant_id="globex")
    app = celery(settings)
    found = run(app, "audit_report", tenant="acme")
    assert {"class": "ADMIN", "action": "clear", "outcome": "ok", "events": 2} in found["actions"]
    assert found["tenants"].keys() == {"acme"}
    assert (found["status"], found["chain"]["status"]) == ("good", "good")
    assert run(app, "audit_report")["events"] > found["events"]
    assert run(app, "audit_report", start="2001-01-01", end="2001-02-01")["events"] == 0


def test_a_report_is_of_the_log_beside_a_server_too(celery, tmp_path, on_redis):
    settings = {"directory": str(tmp_path / "cache"), **on_redis()}
    with SyncCacheManager(settings) as manager:
        manager.clear(tenant_id="acme")
        found = run(celery(settings), "audit_report", tenant="acme")
    assert {"class": "ADMIN", "action": "clear", "outcome": "ok", "events": 1} in found["actions"]
    assert found["status"] == "good"


@pytest.mark.parametrize("given", [{"start": "yesterday"}, {"end": 7}])
def test_a_time_out_of_form_is_told(celery, settings, manager, given):
    with pytest.raises(ConfigInvalid, match="ISO 8601"):
        run(celery(settings), "audit_report", **given)


def test_without_a_log_there_is_no_report(celery, settings):
    with pytest.raises(ConfigInvalid, match="keeps no audit log"):
        run(celery({**settings, "cache_levels": 1}), "audit_report")


def test_what_may_pass_is_tried_again(celery, settings, manager, monkeypatch):
    monkeypatch.setattr("caching_tasks._tasks.report", lambda *_, **__: (_ for _ in ()).throw(TierUnavailable("for a moment")))
    task = celery(settings).tasks["caching.audit_report"]
    with pytest.raises(TierUnavailable):
        task.run(once_in=None)
    task.push_request(called_directly=False, is_eager=False, id="t")
    monkeypatch.setattr(task, "apply_async", lambda *_, **__: None)
    monkeypatch.setattr("celery.canvas.Signature.apply_async", lambda *_, **__: None)
    try:
        with pytest.raises(Retry):
            task.run()
    finally:
        task.pop_request()


def test_the_schedule_is_merged_and_nothing_is_overwritten(celery, settings):
    mine = {"task": "mine", "schedule": 5}
    config = {**settings, "health_check_interval": 7}
    app = celery(config, beat_schedule={"mine": mine, "caching-optimize": mine})
    caching_tasks.install(app, config)
    schedule = app.conf.beat_schedule
    assert schedule.keys() == {"mine", "caching-health-check", "caching-optimize", "caching-audit-report"}
    assert schedule["mine"] == schedule["caching-optimize"] == mine
    health = schedule["caching-health-check"]
    assert (health["schedule"], health["options"]["expires"]) == (7, 7)
    assert health["kwargs"]["once_in"] < 7


def test_the_schedule_waits_for_a_configuration_that_comes_later(settings):
    app = Celery("t", set_as_current=False)
    caching_tasks.install(app, settings)
    assert not app.configured
    app.config_from_object({"beat_schedule": {"mine": {"task": "mine", "schedule": 5}}})
    assert app.conf.beat_schedule.keys() >= {"mine", "caching-audit-report"}
    app.close()


def test_wrong_settings_are_refused_at_once_and_a_missing_cache_when_it_is_needed(celery, settings):
    with pytest.raises(ConfigInvalid, match="l1_max_sizes"):
        celery({"l1_max_sizes": 1})
    app = Celery("bare", broker="memory://", set_as_current=False)
    with pytest.raises(ConfigInvalid, match=r"caching_tasks\.install"):
        run(app, "health_check")
    app.close()
    assert run(celery(CacheConfig.build(settings)), "health_check")["status"] == "ok"


@pytest.fixture
def who(celery, settings):
    """Return tenant and actor that a task sees whose message has these headers, as a worker runs it."""
    app = celery(settings)

    @app.task(name="who", shared=False)
    def who_is_it():
        actor = current_actor()
        return [current_tenant(), actor and actor.id]

    task = app.tasks["who"]
    return lambda *, eager=False, **request: _traced(app, task, {"is_eager": eager, "id": "t", **request})


def _traced(app, task, request):
    from celery.app.trace import build_tracer

    tracer = build_tracer(task.name, task, app=app, eager=True)
    return tracer("t", (), {}, request).retval


def test_headers_decide_in_a_worker_and_the_caller_where_he_runs_it_himself(who):
    ada = {"type": "user", "id": "ada", "roles": ["editor"]}
    assert who(caching_tenant="acme", caching_actor=ada) == ["acme", "ada"]
    assert who(headers={"caching_tenant": "acme"}) == ["acme", None]
    with use_tenant("globex"), use_actor(Actor("user", "bob")):
        assert who() == [None, None]
        assert who(eager=True) == ["globex", "bob"]
        assert who(caching_tenant="acme") == ["acme", None]
        assert current_tenant() == "globex"


@pytest.mark.parametrize("tenant", ["../x", "", 7, ["acme"], {"a": 1}])
def test_a_tenant_out_of_form_is_none(who, tenant, caplog):
    with use_tenant("globex"):
        assert who(caching_tenant=tenant, caching_actor={"type": "user"}) == [None, None]
    assert "out of form" in caplog.text
