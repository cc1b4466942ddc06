"""Coherence on one host and, later, in a fleet: stamps over every copy, the ledger over the store."""

from caching_core.coherence._extra import Extra
from caching_core.coherence._ledger import LedgerCopy, Verdict, fields_of
from caching_core.coherence._regions import Cells
from caching_core.coherence._scheme import Scheme
from caching_core.coherence._stamps import Stamps
from caching_core.coherence._table_file import TableForeign, has_table

__all__ = ["Cells", "Extra", "LedgerCopy", "Scheme", "Stamps", "TableForeign", "Verdict", "fields_of", "has_table"]
