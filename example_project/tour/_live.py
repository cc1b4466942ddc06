"""Traffic on the site, with a line of figures every two seconds."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

from prometheus_client.parser import text_string_to_metric_families

from caching_core.runtime import bound_to_parent
from example_project.tour._crew import CheckFailed
from example_project.tour._service import ROOT
from example_project.tour._site import Site


def traffic(site: Site, seconds: float | None) -> Iterator[str]:
    """Let listeners come for so many seconds, or for ever; yield the figures.

    Raises CheckFailed if a service ends, or if a request failed.
    """
    command = [sys.executable, "-m", "example_project.traffic", "--api", site.api.address]
    if seconds is not None:
        command += ["--seconds", str(seconds)]
    with subprocess.Popen(bound_to_parent(command), cwd=ROOT, env=site.environ, stdout=subprocess.PIPE, text=True) as listeners:
        try:
            for line in listeners.stdout or ():
                site.check()
                yield f"{line.strip()}; {ratio(site)}"
        finally:
            if sys.exc_info()[0] is not None:
                listeners.terminate()
        if seconds is not None and listeners.wait() != 0:
            raise CheckFailed("the traffic had requests that failed")


def ratio(site: Site) -> str:
    """Return the share of reads of the FastAPI process that each level answered, by its metrics."""
    try:
        _, text = site.api.ask("/metrics")
    except OSError:
        return "no metrics"
    counts: Counter[tuple[str, str]] = Counter()
    for family in text_string_to_metric_families(text):
        if family.name in {"cache_hits", "cache_misses"}:
            for sample in family.samples:
                counts[family.name, sample.labels["level"]] += int(sample.value)
    first, second, missed = counts["cache_hits", "l1"], counts["cache_hits", "l2"], counts["cache_misses", "l2"]
    reads = max(first + second + missed, 1)
    return f"hit ratio {100 * (first + second) / reads:.1f} % (L1 {100 * first / reads:.1f}, L2 {100 * second / reads:.1f})"
