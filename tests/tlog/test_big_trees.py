"""Trees of up to 100,000 leaves against the definition, each subtree of which is hashed once."""

import random
from collections.abc import Iterator
from hashlib import sha256
from itertools import pairwise

import pytest

from smart_audit.tlog.append import grow
from smart_audit.tlog.compact import CompactRange
from smart_audit.tlog.hashing import fold
from smart_audit.tlog.proofs import (
    Element,
    ProofError,
    consistency_nodes,
    inclusion_nodes,
    verify_consistency,
    verify_inclusion,
)

from . import reference

LARGEST = 100_000
SIZES = (2, 255, 256, 257, 4_095, 65_535, 65_536, 65_537, 99_999, LARGEST)
SEEDS = range(4)
PLACES = 25  # per size


class Definition:
    """RFC 6962, section 2.1, over leaf hashes, remembering the root of every range it met."""

    def __init__(self, leaf_hashes: list[bytes]) -> None:
        self._leaves = leaf_hashes
        self._roots: dict[tuple[int, int], bytes] = {}

    def root(self, begin: int, end: int) -> bytes:
        if end - begin == 1:
            return self._leaves[begin]
        known = self._roots.get((begin, end))
        if known is None:
            middle = begin + reference.split(end - begin)
            known = sha256(b"\1" + self.root(begin, middle) + self.root(middle, end)).digest()
            self._roots[begin, end] = known
        return known

    def path(self, index: int, size: int) -> list[bytes]:
        return list(self._path(index, 0, size))[::-1]

    def _path(self, index: int, begin: int, end: int) -> Iterator[bytes]:
        while end - begin > 1:
            middle = begin + reference.split(end - begin)
            if index < middle:
                yield self.root(middle, end)
                end = middle
            else:
                yield self.root(begin, middle)
                begin = middle

    def proof(self, first: int, second: int) -> list[bytes]:
        return list(self._proof(first, 0, second))[::-1]

    def _proof(self, first: int, begin: int, end: int) -> Iterator[bytes]:
        # The old tree is the verifier's own, as long as it is a whole left part from 0 on.
        while first != end:
            middle = begin + reference.split(end - begin)
            if first <= middle:
                yield self.root(middle, end)
                end = middle
            else:
                yield self.root(begin, middle)
                begin = middle
        if begin:
            yield self.root(begin, end)


@pytest.fixture(scope="module")
def leaves() -> list[bytes]:
    return [sha256(b"\0%d" % number).digest() for number in range(LARGEST)]


@pytest.fixture(scope="module")
def tree(leaves: list[bytes]) -> Definition:
    return Definition(leaves)


def hashes(elements: list[Element], tree: Definition) -> list[bytes]:
    return [
        fold([tree.root(node.index << node.level, node.end) for node in element])
        for element in elements
    ]


def changed(path: list[bytes], chance: random.Random) -> list[bytes]:
    """The path with one thing wrong: a bit, a hash too many, too few, or out of place."""
    wrong, place = list(path), chance.randrange(len(path))
    match chance.randrange(4):
        case 0:
            wrong[place] = reference.flipped(wrong[place], chance.randrange(256))
        case 1:
            del wrong[place]
        case 2:
            wrong.insert(place, chance.randbytes(32))
        case 3:
            wrong[place], wrong[-1 - place] = wrong[-1 - place], wrong[place]
    return wrong if wrong != path else [*path, path[-1]]


def test_the_remembering_definition_is_the_plain_one():
    entries = reference.entries(70)
    tree = Definition([sha256(b"\0" + entry).digest() for entry in entries])
    for size in range(1, 71):
        assert tree.root(0, size) == reference.mth(entries[:size])
        for place in range(0, size, 7):
            assert tree.path(place, size) == reference.path(place, entries[:size])
            assert tree.proof(place + 1, size) == reference.proof(place + 1, entries[:size])


@pytest.mark.parametrize("size", SIZES)
def test_proofs_of_known_sizes_are_those_of_the_definition(tree, size):
    chance = random.Random(size)
    root = tree.root(0, size)
    edges = {0, 1, size // 2, size - 1}
    for index in edges | {chance.randrange(size) for _ in range(PLACES)}:
        path = hashes(inclusion_nodes(index, size), tree)
        assert path == tree.path(index, size)
        leaf = tree.root(index, index + 1)
        verify_inclusion(leaf, index, size, path, root)
        with pytest.raises(ProofError):
            verify_inclusion(leaf, index, size, changed(path, chance), root)
        with pytest.raises(ProofError):
            verify_inclusion(leaf, (index + 1) % size, size, path, root)
        check_growth(tree, index + 1, size, chance)


@pytest.mark.parametrize("seed", SEEDS)
def test_proofs_of_random_sizes_are_those_of_the_definition(tree, seed):
    chance = random.Random(seed)
    for _ in range(PLACES):
        size = chance.randrange(1, chance.choice((300, 5_000, LARGEST)) + 1)
        index = chance.randrange(size)
        path = hashes(inclusion_nodes(index, size), tree)
        assert path == tree.path(index, size)
        verify_inclusion(tree.root(index, index + 1), index, size, path, tree.root(0, size))
        check_growth(tree, chance.randrange(1, size + 1), size, chance)


def check_growth(tree: Definition, first: int, second: int, chance: random.Random) -> None:
    path = hashes(consistency_nodes(first, second), tree)
    assert path == tree.proof(first, second)
    roots = tree.root(0, first), tree.root(0, second)
    verify_consistency(first, second, path, *roots)
    if path:
        with pytest.raises(ProofError):
            verify_consistency(first, second, changed(path, chance), *roots)
        with pytest.raises(ProofError):
            verify_consistency(first, second, path, *reversed(roots))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_log_that_grows_in_random_batches_is_that_of_the_definition(leaves, tree, seed):
    chance = random.Random(seed)
    edges = sorted(chance.sample(range(1, 40_000), 12))
    state = CompactRange.empty()
    for begin, end in pairwise([0, *edges]):
        growth = grow(state, leaves[begin:end])
        assert growth.root == growth.after.root() == tree.root(0, end)
        for index in {begin, end - 1, chance.randrange(begin, end)}:
            assert growth.path(index) == tree.path(index, end)
        state = growth.after
