"""Range proofs, against the tree of the definition."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_audit.tlog.hashing import leaf_hash
from smart_audit.tlog.proofs import ProofError, verify_inclusion
from smart_audit.tlog.ranges import RangeTree, range_proof_nodes, verify_range

from . import reference

sizes = st.integers(1, 300)
ranges = sizes.flatmap(
    lambda size: st.integers(0, size - 1).flatmap(
        lambda begin: st.tuples(st.just(begin), st.integers(begin + 1, size), st.just(size))
    )
)


def proven(begin, end, size):
    """(leaf hashes, left, right, root), each hash by the definition."""
    leaves = reference.entries(size)
    sides = [
        [reference.mth(leaves[node.index << node.level : node.end]) for node in side]
        for side in range_proof_nodes(begin, end, size)
    ]
    return [leaf_hash(leaf) for leaf in leaves[begin:end]], *sides, reference.mth(leaves)


@given(place=ranges)
def test_a_range_leads_to_the_root(place):
    begin, end, size = place
    hashes, left, right, root = proven(begin, end, size)
    verify_range(hashes, begin, size, left, right, root)
    assert len(left) == begin.bit_count()
    assert len(right) <= 2 * size.bit_length()


def test_all_small_ranges_lead_to_the_root_and_hold_the_paths_of_the_definition():
    for size in range(1, 19):
        leaves = reference.entries(size)
        for begin in range(size):
            for end in range(begin + 1, size + 1):
                hashes, left, right, root = proven(begin, end, size)
                tree = RangeTree.of(hashes, begin, size, left, right)
                assert tree.root == root
                for index in range(begin, end):
                    assert tree.path(index) == reference.path(index, leaves)


@given(place=ranges, data=st.data())
def test_each_leaf_of_a_range_has_its_inclusion_path(place, data):
    begin, end, size = place
    hashes, left, right, root = proven(begin, end, size)
    index = data.draw(st.integers(begin, end - 1))
    path = RangeTree.of(hashes, begin, size, left, right).path(index)
    verify_inclusion(hashes[index - begin], index, size, path, root)


@given(place=ranges, data=st.data())
def test_any_changed_hash_is_found(place, data):
    begin, end, size = place
    *rows, root = proven(begin, end, size)
    row = data.draw(st.sampled_from([row for row in rows if row]))
    place = data.draw(st.integers(0, len(row) - 1))
    row[place] = reference.flipped(row[place], data.draw(st.integers(0, 255)))
    hashes, left, right = rows
    with pytest.raises(ProofError, match="root"):
        verify_range(hashes, begin, size, left, right, root)


@given(place=ranges, data=st.data())
def test_a_dropped_added_or_swapped_leaf_is_found(place, data):
    begin, end, size = place
    hashes, left, right, root = proven(begin, end, size)
    changed = list(hashes)
    where = data.draw(st.integers(0, len(hashes) - 1))
    match data.draw(st.sampled_from(["drop", "double", "swap", "end"])):
        case "drop":
            del changed[where]
        case "double":
            changed.insert(where, hashes[where])
        case "swap" if len(hashes) > 1:
            changed[where - 1], changed[where] = hashes[where], hashes[where - 1]
        case _:
            changed.append(bytes(32))
    with pytest.raises(ProofError):
        verify_range(changed, begin, size, left, right, root)


@given(place=ranges, other=ranges)
def test_a_proof_serves_its_own_range_and_size_alone(place, other):
    begin, end, size = place
    hashes, left, right, _ = proven(begin, end, size)
    if (other[0], other[2]) != (begin, size):
        with pytest.raises(ProofError):
            verify_range(hashes, other[0], other[2], left, right, proven(*other)[3])


@pytest.mark.parametrize("side", [1, 2])
def test_a_proof_with_a_hash_too_many_or_too_few_is_refused(side):
    *rows, root = proven(5, 9, 21)
    for changed in (rows[side][:-1], [*rows[side], bytes(32)]):
        given_rows = [*rows[:side], changed, *rows[side + 1 :]]
        with pytest.raises(ProofError, match="side has"):
            verify_range(given_rows[0], 5, 21, given_rows[1], given_rows[2], root)


def test_a_hash_of_another_length_is_refused():
    hashes, left, right, root = proven(5, 9, 21)
    for rows in ([[b"x", *hashes[1:]], left, right], [hashes, [b"x", left[1]], right]):
        with pytest.raises(ProofError, match="1 bytes instead of 32"):
            verify_range(rows[0], 5, 21, rows[1], rows[2], root)


@pytest.mark.parametrize(("begin", "end", "size"), [(3, 3, 5), (4, 3, 5), (-1, 2, 5), (2, 6, 5)])
def test_what_is_no_range_has_no_proof(begin, end, size):
    with pytest.raises(ValueError, match="are not a range"):
        range_proof_nodes(begin, end, size)
    with pytest.raises(ProofError):
        verify_range([bytes(32)] * max(0, end - begin), begin, size, [], [], bytes(32))


def test_a_path_exists_for_the_leaves_of_the_range_alone():
    hashes, left, right, _ = proven(5, 9, 21)
    tree = RangeTree.of(hashes, 5, 21, left, right)
    for index in (4, 9):
        with pytest.raises(IndexError):
            tree.path(index)


def test_nodes_that_the_range_knows_are_those_of_the_definition():
    leaves = reference.entries(21)
    hashes, left, right, root = proven(5, 19, 21)
    tree = RangeTree.of(hashes, 5, 21, left, right)
    assert tree.node(2, 2) == reference.mth(leaves[8:12])
    assert tree.node(5, 0) == root
    assert tree.node(0, 2) is None
    assert tree.node(0, 20) is None


def test_memory_grows_by_little_more_than_the_hashes():
    size = 50_000
    hashes = (index.to_bytes(32, "big") for index in range(size))
    tracemalloc.start()
    RangeTree.of(hashes, 0, size, [], [])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # 64 bytes for each leaf in the end, and the leaves once more on the way.
    assert peak < 140 * size
