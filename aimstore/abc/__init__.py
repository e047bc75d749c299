"""The contracts: what an engine, an indexer and a query language implement.

The room owns the abstract classes `Backend`, `Container` and `Lock`, `Indexer`, `Query`, `CompiledQuery` and `Order`; the plain
data that they exchange (`WriteBatch`, `KeyRange`, `Capability`, `Hint` and its parts, `Candidates`); and what all
implementations share: `State`, which says whether an object can be used, and `Closing`.

It may import the floor of `errors`, `types`, `forking` and `limits`, and nothing else. All names of `__all__` are public.
"""

from aimstore.abc.backend import Backend, Lock
from aimstore.abc.batch import KeyRange, Op, WriteBatch
from aimstore.abc.capability import Capability
from aimstore.abc.closing import Closing
from aimstore.abc.container import Container, Item, Mode
from aimstore.abc.indexer import Candidates, Indexer
from aimstore.abc.query import AllOf, Among, AnyOf, CompiledQuery, Hint, Order, Query, Subject, Term, View
from aimstore.abc.state import OPEN, State

__all__ = [
    "OPEN",
    "AllOf",
    "Among",
    "AnyOf",
    "Backend",
    "Candidates",
    "Capability",
    "Closing",
    "CompiledQuery",
    "Container",
    "Hint",
    "Indexer",
    "Item",
    "KeyRange",
    "Lock",
    "Mode",
    "Op",
    "Order",
    "Query",
    "State",
    "Subject",
    "Term",
    "View",
    "WriteBatch",
]
