"""The read-only values of a query: stored dicts and lists in views, NumPy scalars as numbers, `MISSING`.

A query accesses a value only through the functions of `namespace.py`, which call `attribute`, `item`, `has`, `elements`
and `size` of a view. No view exposes the object that it wraps. `item` and `has` take the evaluation's budget first.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final, cast

from aimstore.encoding.tensors import python_scalar
from aimstore.query.limits import Budget


class Loadable(ABC):
    """A large leaf that is read on request. `load` runs at each access, so it should cache its result.

    The class of a leaf inherits from this class or is registered with `Loadable.register`. A method `load` is not
    enough, because a user's object may have one too, and a query runs no code of such objects.
    """

    __slots__ = ()

    @abstractmethod
    def load(self) -> Any:
        """The value."""


class BaseView:
    """The interface of every view; by default it has no attributes, items or elements."""

    __slots__ = ()

    def attribute(self, name: str) -> Any:
        """The value of `.name`, or `MISSING`."""
        return MISSING

    def item(self, budget: Budget, key: Any) -> Any:
        """The value of `[key]`, or `MISSING`."""
        return MISSING

    def has(self, budget: Budget, key: Any) -> bool:
        """Whether `key in self`."""
        return False

    def elements(self) -> Iterator[Any]:
        """The elements that a loop over the view yields.

        Raises:
            TypeError: the view is not a collection.
        """
        raise TypeError(f"cannot loop over {self.kind()}")

    def size(self) -> int:
        """`len(self)`.

        Raises:
            TypeError: the view is not a collection.
        """
        raise TypeError(f"{self.kind()} has no length")

    def kind(self) -> str:
        """The name of the view's type in messages."""
        return f"a {type(self).__name__.removesuffix('View').lower()}"


class MissingValue(BaseView):
    """A missing value: false, without elements; its attributes and items are missing too. Use `MISSING`."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "MISSING"

    def elements(self) -> Iterator[Any]:
        return iter(())

    def kind(self) -> str:
        return "a missing attribute"


MISSING: Final = MissingValue()


class OpaqueView(BaseView):
    """An array or custom object: it exists and is true, but compares with nothing.

    Arrays have `shape`, `ndim`, `size` and `dtype`.
    """

    __slots__ = ("_facts", "_kind")

    def __init__(self, kind: str, facts: Mapping[str, Any] | None = None) -> None:
        self._kind = kind
        self._facts = facts or {}

    def attribute(self, name: str) -> Any:
        return wrap(self._facts.get(name, MISSING))

    def kind(self) -> str:
        return f"a value of type {self._kind}"


class DictView(BaseView):
    """A read-only dict; keys are accessed by dot or index, and a tuple of keys goes down several levels."""

    __slots__ = ("_mapping",)
    __hash__ = None  # type: ignore[assignment]  # as dicts

    def __init__(self, mapping: Mapping[Any, Any]) -> None:
        self._mapping = mapping

    def __bool__(self) -> bool:
        return bool(self._mapping)

    def attribute(self, name: str) -> Any:
        return wrap(self._mapping.get(name, MISSING))

    def item(self, budget: Budget, key: Any) -> Any:
        if type(key) is tuple:
            return descend(budget, self, key)
        return wrap(self._mapping.get(key, MISSING)) if type(key) in (str, int) else MISSING

    def has(self, budget: Budget, key: Any) -> bool:
        return type(key) in (str, int) and key in self._mapping

    def elements(self) -> Iterator[Any]:
        return map(wrap, self._mapping)

    def size(self) -> int:
        return len(self._mapping)


class ListView(BaseView):
    """A read-only list or tuple. An item past its end is missing."""

    __slots__ = ("_items",)
    __hash__ = None  # type: ignore[assignment]  # as lists

    def __init__(self, items: Sequence[Any]) -> None:
        self._items = items

    def __bool__(self) -> bool:
        return bool(self._items)

    def __iter__(self) -> Iterator[Any]:  # for `for a, b in pairs`
        return map(wrap, self._items)

    def item(self, budget: Budget, key: Any) -> Any:
        if type(key) is tuple:
            return descend(budget, self, key)
        if type(key) is slice:
            return ListView(self._items[key])
        if type(key) is int and -len(self._items) <= key < len(self._items):
            return wrap(self._items[key])
        return MISSING

    def elements(self) -> Iterator[Any]:
        return iter(self)

    def size(self) -> int:
        return len(self._items)


def descend(budget: Budget, view: BaseView, keys: tuple[Any, ...]) -> Any:
    """The value at the end of a path of keys, or `MISSING`."""
    value: Any = view
    for key in keys:
        value = value.item(budget, key) if isinstance(value, BaseView) else MISSING
    return value


PLAIN: Final = frozenset({bool, int, float, complex, str, bytes, type(None), datetime, date, timedelta, MissingValue})
"""Types that a query handles directly: immutable, and compared by value."""


def wrap(value: Any) -> Any:
    """Return `value` in a form that is safe for a query: plain, or a view."""
    kind = type(value)
    if kind in PLAIN:
        return value
    if kind is dict:
        return DictView(value)
    if kind is list or kind is tuple:
        return ListView(value)
    return _wrap_other(value)


def _wrap_other(value: Any) -> Any:
    if isinstance(value, BaseView):
        return value
    numpy = cast(Any, sys.modules.get("numpy"))  # if NumPy was never imported, no value is a NumPy value
    if numpy is not None:
        if isinstance(value, numpy.ndarray):
            facts = {"shape": value.shape, "ndim": value.ndim, "size": value.size, "dtype": str(value.dtype)}
            return OpaqueView("array", facts)
        if isinstance(value, numpy.generic):
            plain = python_scalar(value)
            return plain if type(plain) in PLAIN else OpaqueView(type(value).__name__)
    # a subclass may override anything, so the plain value is extracted from it
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, Loadable):
        return wrap(value.load())
    if isinstance(value, Mapping):
        return DictView(value)
    if isinstance(value, Sequence):
        return ListView(value)
    if isinstance(value, (set, frozenset)):
        return ListView(tuple(value))
    return OpaqueView(type(value).__name__)
