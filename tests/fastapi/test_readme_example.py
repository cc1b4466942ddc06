"""The README's application does what the README says of it."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


async def test_it_answers(asked, tmp_path, monkeypatch):
    (body,) = [body for body in re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL) if "FastAPI(" in body]
    monkeypatch.setenv("CACHING_DIRECTORY", str(tmp_path / "cache"))
    names: dict = {"__name__": "example"}
    exec(compile(body, "README.md", "exec"), names)
    async with asked(names["app"]) as client:
        for _ in range(2):
            assert (await client.get("/t/acme/artists/ada")).json() == {"name": "ada"}
        statuses = [
            (await client.get(path)).status_code for path in ("/artists/ada", "/t/ACME/artists/x", "/t/umbrella/artists/x", "/healthz")
        ]
        assert statuses == [400, 400, 403, 200]
        text = (await client.get("/metrics")).text
        assert 'cache_hits_total{level="l1",operation="get",tenant_id="acme"} 1.0' in text
