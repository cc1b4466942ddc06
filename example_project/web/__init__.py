"""The Django site: settings, addresses, and its entry for servers."""
