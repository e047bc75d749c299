"""Trees against nested dicts, and what they touch."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from aimstore.abc import WriteBatch
from aimstore.encoding.keys import encode_path
from aimstore.errors import CorruptionError, EncodingError
from aimstore.storage.memory import MemoryContainer
from aimstore.storage.tree import Tree
from aimstore.testing.counting import CountingContainer
from aimstore.types import TreePath

NAMES = st.sampled_from(["a", "b", "ab", "", "é", 0, 1, -1, 300])
PATHS = st.lists(NAMES, max_size=4).map(tuple)
SCALARS = st.none() | st.booleans() | st.integers(-3, 300) | st.floats(allow_nan=False) | st.text(max_size=2)
LISTS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=2) | st.tuples(inner),
    max_leaves=4,
).map(lambda value: [value])
VALUES = st.recursive(SCALARS | LISTS, lambda inner: st.dictionaries(NAMES, inner, max_size=3), max_leaves=6)
DICTS = st.dictionaries(NAMES, VALUES, max_size=3)


class RefusedError(Exception):
    """The model says that this cannot be done."""


def step(node: Any, part: str | int) -> Any:
    if isinstance(node, dict) and part in node:
        return node[part]
    if isinstance(node, list | tuple) and isinstance(part, int) and -len(node) <= part < len(node):
        return node[part]
    raise KeyError(part)


def lookup(root: Any, path: TreePath) -> Any:
    for part in path:
        root = step(root, part)
    return root


def assign(root: dict[Any, Any], path: TreePath, value: Any) -> dict[Any, Any]:
    """What `root[path] = value` should make of `root`."""
    if not path:
        if not isinstance(value, dict):
            raise RefusedError
        return copy.deepcopy(value)
    changed = copy.deepcopy(root)
    node: Any = changed
    for part in path[:-1]:
        node = node.setdefault(part, {}) if isinstance(node, dict) else writable(node, part)
    if not isinstance(node, dict):
        writable(node, path[-1])
        if isinstance(node, tuple):
            raise RefusedError
    node[path[-1]] = copy.deepcopy(value)
    return changed


def writable(node: Any, part: str | int) -> Any:
    try:
        return step(node, part)
    except KeyError:
        raise RefusedError from None


def merge(root: dict[Any, Any], path: TreePath, values: dict[Any, Any]) -> dict[Any, Any]:
    if not values:
        try:
            there = lookup(root, path)
        except KeyError:
            return assign(root, path, {})
        # inside a list an empty dict replaces what is no dict; in the tree itself nothing is replaced by it
        if isinstance(there, dict):
            return root
        inside = any(isinstance(lookup(root, path[:at]), list | tuple) for at in range(len(path)))
        if inside:
            return assign(root, path, {})
        raise RefusedError
    for name, value in values.items():
        root = (merge if isinstance(value, dict) else assign)(root, (*path, name), value)
    return root


def same(left: Any, right: Any) -> bool:
    """Equal, with types: 1 is neither True nor 1.0."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


def below(tree: Tree, key: TreePath | str) -> Tree:
    """The tree below a place of another one, which need not exist."""
    return Tree(tree.container, (*tree.root, *((key,) if isinstance(key, str) else key)))


class TreeMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.container = MemoryContainer()
        self.model: dict[Any, Any] = {}
        self.tree = Tree(self.container)

    def attempt(self, change: Any, expected: Any) -> None:
        before = list(self.container.items())
        try:
            model = expected()
        except (RefusedError, KeyError):
            with pytest.raises((KeyError, EncodingError)):
                change()
            assert list(self.container.items()) == before
        else:
            change()
            self.model = model

    @rule(path=PATHS, value=VALUES, at=st.integers(0, 4))
    def set(self, path: TreePath, value: Any, at: int) -> None:
        def change() -> None:
            below(self.tree, path[:at])[path[at:]] = value

        self.attempt(change, lambda: assign(self.model, path, value))

    @rule(path=PATHS, values=DICTS)
    def merge(self, path: TreePath, values: dict[Any, Any]) -> None:
        self.attempt(lambda: self.tree.merge(path, values), lambda: merge(self.model, path, values))

    def removed(self, path: TreePath) -> dict[Any, Any]:
        model = copy.deepcopy(self.model)
        if not path:
            return {}
        holder = lookup(model, path[:-1])
        step(holder, path[-1])
        if isinstance(holder, tuple):
            raise RefusedError
        del holder[path[-1]]
        return model

    @rule(path=PATHS)
    def delete(self, path: TreePath) -> None:
        self.attempt(lambda: self.tree.__delitem__(path), lambda: self.removed(path))

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def delete_what_is_there(self, data: st.DataObject) -> None:
        path: TreePath = ()
        node: Any = self.model
        while isinstance(node, dict | list) and node and (not path or data.draw(st.booleans())):
            part = data.draw(st.sampled_from(sorted(node, key=repr) if isinstance(node, dict) else range(len(node))))
            path, node = (*path, part), node[part]
        self.attempt(lambda: self.tree.__delitem__(path), lambda: self.removed(path))

    @rule(path=PATHS, at=st.integers(0, 4))
    def read(self, path: TreePath, at: int) -> None:
        tree = below(self.tree, path[:at])
        try:
            expected = lookup(self.model, path)
        except KeyError:
            assert path[at:] not in tree
            assert tree.get(path[at:], tree) is tree
            with pytest.raises(KeyError):
                tree[path[at:]]
            with pytest.raises(KeyError):
                list(below(self.tree, path))
        else:
            assert path[at:] in tree
            assert same(tree[path[at:]], expected)
            assert same(tree.get(path[at:]), expected)
            self.children(path, expected)

    def children(self, path: TreePath, expected: Any) -> None:
        tree = below(self.tree, path)
        if not isinstance(expected, dict | list | tuple):
            for iterate in (tree.keys, tree.items):
                with pytest.raises(TypeError, match="no children"):
                    list(iterate())
            return
        names = (
            sorted(expected, key=lambda name: encode_path((name,)))
            if isinstance(expected, dict)
            else [*range(len(expected))]
        )
        inside = any(isinstance(lookup(self.model, path[:at]), list | tuple) for at in range(len(path)))
        order = (lambda found: sorted(found, key=repr)) if inside else list  # in a value, dicts keep their own order
        assert order(tree) == order(names)
        items = dict(tree.items())
        assert order(items) == order(names)
        assert all(same(items[name], expected[name]) for name in names)

    @invariant()
    def equal(self) -> None:
        assert same(self.tree[...], self.model)
        self.children((), self.model)


TestTree = TreeMachine.TestCase
TestTree.settings = settings(max_examples=150, stateful_step_count=15, deadline=None)


@pytest.fixture
def container() -> CountingContainer:
    return CountingContainer(MemoryContainer())


@pytest.fixture
def tree(container: CountingContainer) -> Tree:
    """A thousand leaves on either side of `hparams`."""
    tree = Tree(container)
    tree[()] = {
        "before": {"x": {n: n for n in range(1000)}},
        "hparams": {"lr": 0.1, "opt": {"name": "adam", "betas": [0.9, {"x": 1}]}, "empty": {}},
        "later": {n: {"deep": list(range(n % 3))} for n in range(1000)},
    }
    container.reset()
    return tree


def test_paths_may_be_written_in_every_way(tree: Tree) -> None:
    assert tree["hparams", "lr"] == tree[("hparams", "lr")] == below(tree, "hparams")["lr"] == 0.1
    assert tree["hparams"] == below(tree, "hparams")[...] == below(tree, "hparams")[()]
    assert tree["hparams", "opt", "betas", 1, "x"] == tree["hparams", "opt", "betas", -1, "x"] == 1
    assert ("hparams", "lr") in tree
    assert "nothing" not in tree
    assert ... in Tree(MemoryContainer())
    assert () not in below(tree, "nothing")
    for wrong in (True, 1.5, None, ("a", b"b")):
        with pytest.raises(EncodingError, match="a path consists of str and int"):
            tree[wrong]  # type: ignore[index]


def test_reading_a_subtree_touches_only_its_keys(tree: Tree, container: CountingContainer) -> None:
    assert tree["hparams"]["lr"] == 0.1
    counts = container.reset()
    assert (counts.scans, counts.items, counts.gets) == (1, 4, 0)
    assert tree["hparams", "opt", "betas", 0] == 0.9
    counts = container.reset()
    assert (counts.items, counts.gets) == (0, 3)  # nothing there; three values might be above


def test_writing_a_subtree_touches_only_its_keys(tree: Tree, container: CountingContainer) -> None:
    tree["hparams", "opt"] = {"name": "sgd"}
    counts = container.reset()
    assert (counts.read, counts.batches, counts.puts, counts.range_deletes) == (1, 1, 1, 1)
    tree["hparams", "opt", "betas", "new"] = 1
    tree.merge("hparams", {"lr": 0.2, "opt": {"name": "x"}})
    assert container.reset().read <= 6
    assert tree["hparams"] == {"lr": 0.2, "opt": {"name": "x", "betas": {"new": 1}}, "empty": {}}


def test_deleting_touches_its_keys_and_a_neighbour_on_either_side(tree: Tree, container: CountingContainer) -> None:
    del tree["hparams", "opt"]
    assert container.reset().read <= 3
    del tree["hparams", "lr"]
    del tree["hparams", "empty"]
    assert container.reset().read <= 6
    assert tree["hparams"] == {}


def test_children_are_found_by_skipping_what_lies_below_them(tree: Tree, container: CountingContainer) -> None:
    assert list(tree) == ["before", "hparams", "later"]
    assert container.reset().read < 40
    assert next(tree.keys()) == "before"
    assert next(iter(below(tree, "later").items())) == (0, {"deep": []})
    assert container.reset().read < 10
    assert len(list(below(tree, "later"))) == 1000
    counts = container.reset()
    assert (counts.scans, counts.items) == (1, 1000)


def test_children_are_listed_without_being_decoded(container: CountingContainer) -> None:
    tree = Tree(container)
    tree["a"] = tree["b", "c"] = tree["d"] = 1
    container.put(encode_path(("b", "c")), b"\xc1 no value")
    assert list(tree) == ["a", "b", "d"]
    assert list(below(tree, "b")) == ["c"]
    assert "b" in tree
    assert next(tree.items()) == ("a", 1)
    with pytest.raises(CorruptionError, match=r"memory: below b"):
        tree["b"]
    with pytest.raises(CorruptionError):
        list(tree.items())


def test_items_are_a_snapshot(tree: Tree) -> None:
    items = below(tree, "hparams").items()
    first = next(items)
    tree["hparams"] = {"other": 1}
    assert [first[0], *(name for name, _ in items)] == ["empty", "lr", "opt"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (("hparams", "lr", "x"), r"hparams\.lr\.x: hparams\.lr is of type float, which takes no items"),
        (("hparams", "lr", "x", "y", "z"), r"hparams\.lr is of type float, which takes no items"),
        (("hparams", "opt", "betas", 0, "x"), r"hparams\.opt\.betas\[0\] is of type float, which takes no items"),
    ],
)
def test_nothing_is_written_below_a_value_that_takes_no_items(tree: Tree, path: TreePath, message: str) -> None:
    before = tree[...]
    for write in (lambda: tree.__setitem__(path, 1), lambda: tree.merge(path[:-1], {path[-1]: 1, "more": 2})):
        with pytest.raises(EncodingError, match=message):
            write()
    with pytest.raises(TypeError):
        tree[path] = 1
    assert tree[...] == before


def test_what_is_missing_is_named(tree: Tree) -> None:
    for path, message in [
        (("hparams", "x", "y"), r"nothing is stored at hparams\.x\.y"),
        (("hparams", "opt", "betas", 2), r"hparams\.opt\.betas\[2\]: the list has 2 items"),
        (("hparams", "opt", "betas", "x"), r"hparams\.opt\.betas\.x: the list has 2 items"),
        (("hparams", "opt", "betas", 1, "y"), r"hparams\.opt\.betas\[1\]\.y: no such key"),
        (("hparams", "lr", "x"), r"hparams\.lr\.x: hparams\.lr is of type float"),
        (("hparams", "empty", "x"), r"hparams\.empty\.x: no such key"),
    ]:
        with pytest.raises(KeyError, match=message):
            tree[path]
        with pytest.raises(KeyError, match=message):
            del tree[path]
        assert tree.get(path) is None
        assert tree.get(path, 1) == 1
    with pytest.raises(KeyError, match=r"betas\[2\]: the list has 2 items"):
        tree["hparams", "opt", "betas", 2] = 1


def test_a_change_inside_a_list_rewrites_one_value(tree: Tree, container: CountingContainer) -> None:
    tree["hparams", "opt", "betas", 1, "x"] = {"y": 2}
    counts = container.reset()
    assert (counts.read, counts.puts, counts.deletes, counts.range_deletes) == (4, 1, 0, 0)
    tree.merge(("hparams", "opt"), {"betas": {0: 0.8, 1: {"x": {"z": 3}, "e": {}}}})
    assert container.reset().puts == 1
    assert tree["hparams", "opt", "betas"] == [0.8, {"x": {"y": 2, "z": 3}, "e": {}}]
    del tree["hparams", "opt", "betas", 0]
    assert tree["hparams", "opt", "betas"] == [{"x": {"y": 2, "z": 3}, "e": {}}]


def test_tuples_are_read_into_and_not_changed() -> None:
    tree = Tree(MemoryContainer())
    tree["t"] = (1, [2])
    assert tree["t", 1, 0] == 2
    for change in (lambda: tree.__setitem__(("t", 0), 5), lambda: tree.__delitem__(("t", 0))):
        with pytest.raises(EncodingError, match="t is of type tuple, which takes no items"):
            change()
    tree["t", 1, 0] = 3
    assert tree["t"] == (1, [3])


def test_a_value_that_cannot_be_stored_is_named_and_nothing_is_written(
    tree: Tree, container: CountingContainer
) -> None:
    for path, value, message in [
        (("hparams", "new"), {"good": 1, "bad": {"f": object()}}, r"hparams\.new\.bad\.f"),
        (("hparams", "opt", "betas", 0), {"bad": object()}, r"hparams\.opt\.betas\[0\]\.bad"),
        (("hparams",), {("a", "b"): 1}, "hparams"),
    ]:
        batch = WriteBatch()
        for write in (
            lambda p=path, v=value: tree.__setitem__(p, v),
            lambda p=path, v=value, b=batch: tree.batch_set(b, p, v),
            lambda p=path, v=value: tree.merge(p, v),
            lambda p=path, v=value, b=batch: tree.batch_merge(b, p, v),
        ):
            with pytest.raises(EncodingError, match=message):
                write()
        assert len(batch) == 0
    assert container.counts.batches == 0


@pytest.mark.parametrize("value", [1, None, [], [1], "text", ()])
def test_the_root_of_a_container_is_a_dict(tree: Tree, value: Any) -> None:
    with pytest.raises(EncodingError, match="the root of a tree is a dict"):
        tree[...] = value
    assert "hparams" in tree


def test_several_changes_fit_in_one_batch(container: CountingContainer) -> None:
    tree = Tree(container, ("run",))
    batch = WriteBatch()
    tree.batch_set(batch, "a", {"b": 1})
    tree.batch_set(batch, ("c", 0), 2)
    tree.batch_merge(batch, "d", {"e": 3, "f": {}})
    assert tree.get(...) is None
    container.write(batch)
    assert container.counts.batches == 1
    assert tree[...] == {"a": {"b": 1}, "c": {0: 2}, "d": {"e": 3, "f": {}}}
    assert Tree(container)[...] == {"run": tree[...]}
