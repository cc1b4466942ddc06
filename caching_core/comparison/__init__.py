"""Measure our cache beside its peers; for the command line, imported on use."""

from caching_core.comparison._peer import Opened, Peer, choose_peers
from caching_core.comparison._plan import Plan
from caching_core.comparison._suites import PEERS, SUITES, choose_suites, run_suites

__all__ = ["PEERS", "SUITES", "Opened", "Peer", "Plan", "choose_peers", "choose_suites", "run_suites"]
