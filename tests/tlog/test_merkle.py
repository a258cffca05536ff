"""Hashing, compact ranges and growth by batches."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smart_audit.tlog.append import Growth, grow
from smart_audit.tlog.compact import CompactRange
from smart_audit.tlog.hashing import EMPTY_ROOT, fold, leaf_hash, node_hash, split_hashes

from . import published, reference

slow = settings(deadline=None)


def compact(leaves: list[bytes]) -> CompactRange:
    tree = CompactRange.empty()
    for leaf in leaves:
        tree = tree.append(leaf_hash(leaf))
    return tree


def grown(old: int, added: int) -> Growth:
    leaves = reference.entries(old + added)
    return grow(compact(leaves[:old]), [leaf_hash(leaf) for leaf in leaves[old:]])


def test_the_published_nodes_are_reproduced():
    for index, data in enumerate(published.LEAVES):
        assert leaf_hash(data) == published.NODES[0, index]
    for (level, index), expected in published.NODES.items():
        if level:
            left = published.NODES[level - 1, 2 * index]
            right = published.NODES[level - 1, 2 * index + 1]
            assert node_hash(left, right) == expected


@pytest.mark.parametrize("size", range(9))
def test_the_published_roots_are_reproduced(size):
    leaves = published.LEAVES[:size]
    assert compact(leaves).root() == published.ROOTS[size]
    assert grow(CompactRange.empty(), list(map(leaf_hash, leaves))).root == published.ROOTS[size]
    assert reference.mth(leaves) == published.ROOTS[size]


def test_a_leaf_and_a_node_of_the_same_bytes_hash_differently():
    left, right = leaf_hash(b"l"), leaf_hash(b"r")
    assert leaf_hash(left + right) != node_hash(left, right)
    assert node_hash(left, right) != node_hash(right, left)


def test_fold_starts_at_the_right():
    a, b, c = (leaf_hash(name) for name in (b"a", b"b", b"c"))
    assert fold([a, b, c]) == node_hash(a, node_hash(b, c))
    assert fold([a]) == a
    with pytest.raises(ValueError, match="empty row"):
        fold([])


def test_hashes_that_end_early_are_refused():
    assert split_hashes(b"a" * 32 + b"b" * 32) == [b"a" * 32, b"b" * 32]
    with pytest.raises(ValueError, match="whole number"):
        split_hashes(b"a" * 33)


@slow
@given(size=st.integers(0, 300))
def test_a_compact_range_has_the_root_of_its_leaves(size):
    tree = compact(reference.entries(size))
    assert tree.size == size
    assert tree.root() == reference.mth(reference.entries(size))


@slow
@given(size=st.integers(0, 300))
def test_a_compact_range_is_the_same_after_storage(size):
    tree = compact(reference.entries(size))
    stored = tree.to_bytes()
    assert len(stored) == 32 * size.bit_count()
    assert CompactRange.from_bytes(size, stored) == tree


def test_a_compact_range_runs_from_the_largest_subtree_to_the_smallest():
    assert compact(published.LEAVES[:7]).hashes == tuple(
        published.NODES[place] for place in ((2, 0), (1, 2), (0, 6))
    )


@pytest.mark.parametrize(("size", "count"), [(0, 1), (1, 0), (3, 1), (4, 3), (7, 2), (-1, 1)])
def test_a_compact_range_with_the_wrong_number_of_hashes_is_refused(size, count):
    with pytest.raises(ValueError, match=r"perfect subtrees|negative"):
        CompactRange.from_bytes(size, b"h" * 32 * count)


def test_a_compact_range_with_a_short_hash_is_refused():
    with pytest.raises(ValueError, match="32 bytes"):
        CompactRange(1, (b"h" * 31,))
    with pytest.raises(ValueError, match="whole number"):
        CompactRange.from_bytes(1, b"h" * 31)


@slow
@given(old=st.integers(0, 130), added=st.integers(0, 130))
def test_growing_by_a_batch_equals_appending_one_by_one(old, added):
    growth = grown(old, added)
    leaves = reference.entries(old + added)
    assert growth.after == compact(leaves)
    assert growth.root == growth.after.root() == reference.mth(leaves)


@slow
@given(old=st.integers(0, 130), added=st.integers(1, 130))
def test_every_new_leaf_gets_its_inclusion_path(old, added):
    growth = grown(old, added)
    leaves = reference.entries(old + added)
    for index in range(old, old + added):
        assert growth.path(index) == reference.path(index, leaves)


def test_every_small_growth_is_exact():
    for old in range(18):
        for added in range(1, 18):
            growth, leaves = grown(old, added), reference.entries(old + added)
            assert growth.after == compact(leaves), (old, added)
            for index in range(old, old + added):
                assert growth.path(index) == reference.path(index, leaves), (old, added, index)


def test_growth_by_nothing_changes_nothing():
    before = compact(published.LEAVES[:6])
    growth = grow(before, [])
    assert growth.after == before
    assert growth.root == published.ROOTS[6]
    assert grow(CompactRange.empty(), []).root == EMPTY_ROOT


@pytest.mark.parametrize("index", [-1, 0, 4, 8, 100])
def test_a_path_is_given_for_new_leaves_only(index):
    with pytest.raises(IndexError, match="new leaves 5 to 7"):
        grown(5, 3).path(index)


def test_growth_leaves_the_callers_list_alone():
    hashes = [leaf_hash(leaf) for leaf in published.LEAVES[3:]]
    kept = list(hashes)
    grow(compact(published.LEAVES[:3]), hashes)
    assert hashes == kept


def test_a_leaf_hash_of_the_wrong_length_is_refused():
    with pytest.raises(ValueError, match="32 bytes"):
        grow(CompactRange.empty(), [leaf_hash(b""), b"short"])
