"""Management commands; Django looks for them here."""
