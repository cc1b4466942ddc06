"""The README's settings for Django do what the README says of them."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import json
from django.core.cache import cache, caches
cache.set("k", 1)
staff = caches["sessions"]
print(json.dumps([cache.get("k"), staff.get("k"), type(caches["default"]).__name__, staff.shared.config.tenancy.tenant]))
"""


def test_the_settings_work_in_a_new_project(project, tmp_path):
    (lines,) = [body for body in re.findall(r"```text\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL) if "CACHES" in body]
    site = project(lines)
    assert "no issues" in site.run("check")
    assert json.loads(site.shell(SCRIPT)) == [1, None, "TieredCache", "site"]
    assert (site.folder / "cache").is_dir()
