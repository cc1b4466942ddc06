"""Send tasks to the site's worker and print their results: ``python -m example_project.tour._sender '[["acme", "charts.warm"]]'``."""

import json
import sys

from caching_core import use_tenant
from example_project.jobs.app import app


def main() -> None:
    """Send one task after another, each when the one before is done."""
    results = []
    for tenant, name in json.loads(sys.argv[1]):
        with use_tenant(tenant):
            sent = app.send_task(name)
        results.append(sent.get(timeout=60))
    print(json.dumps(results))


if __name__ == "__main__":
    main()
