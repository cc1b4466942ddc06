"""The README's line for Celery does what the README says of it."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_it_installs_tasks_and_schedule(tmp_path, monkeypatch):
    (body,) = [body for body in re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL) if "Celery(" in body]
    monkeypatch.setenv("CACHING_DIRECTORY", str(tmp_path / "cache"))
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE", raising=False)
    names: dict = {"__name__": "example"}
    exec(compile(body, "README.md", "exec"), names)
    app = names["app"]
    tasks = {entry["task"]: entry["schedule"] for entry in app.conf.beat_schedule.values()}
    assert tasks == {"caching.health_check": 60, "caching.optimize": 3600, "caching.audit_report": 86_400}
    assert app.tasks["caching.health_check"].apply(throw=True).get()["status"] == "ok"
    assert (tmp_path / "cache").is_dir()
    app.close()
