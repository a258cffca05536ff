"""Building and verifying proofs."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smart_audit.tlog.hashing import EMPTY_ROOT, fold, leaf_hash
from smart_audit.tlog.proofs import (
    Element,
    Node,
    ProofError,
    consistency_nodes,
    inclusion_nodes,
    perfect_nodes,
    verify_consistency,
    verify_inclusion,
)

from . import published, reference

slow = settings(deadline=None)
pairs = st.integers(1, 260).flatmap(lambda size: st.tuples(st.integers(0, size - 1), st.just(size)))


def hashes(elements: list[Element], leaves: list[bytes]) -> list[bytes]:
    """The proof's hashes, each node computed from its leaves by the definition."""
    return [
        fold([reference.mth(leaves[node.index << node.level : node.end]) for node in element])
        for element in elements
    ]


@slow
@given(pair=pairs)
def test_inclusion_nodes_fold_to_the_path_of_the_definition(pair):
    index, size = pair
    leaves = reference.entries(size)
    path = hashes(inclusion_nodes(index, size), leaves)
    assert path == reference.path(index, leaves)
    verify_inclusion(leaf_hash(leaves[index]), index, size, path, reference.mth(leaves))


@slow
@given(pair=pairs)
def test_consistency_nodes_fold_to_the_proof_of_the_definition(pair):
    first, second = pair[0] + 1, pair[1]
    leaves = reference.entries(second)
    path = hashes(consistency_nodes(first, second), leaves)
    assert path == reference.proof(first, leaves)
    roots = reference.mth(leaves[:first]), reference.mth(leaves)
    verify_consistency(first, second, path, *roots)


def test_all_small_trees_agree_with_the_definition():
    for size in range(1, 20):
        leaves = reference.entries(size)
        for index in range(size):
            nodes = inclusion_nodes(index, size)
            assert hashes(nodes, leaves) == reference.path(index, leaves)
            proof = consistency_nodes(index + 1, size)
            assert hashes(proof, leaves) == reference.proof(index + 1, leaves)


@pytest.mark.parametrize(("index", "size"), published.INCLUSION)
def test_the_published_inclusion_paths_are_built_and_verified(index, size):
    places = published.INCLUSION[index, size]
    assert [[(n.level, n.index) for n in e] for e in inclusion_nodes(index, size)] == [
        [place] for place in places
    ]
    path = [published.NODES[place] for place in places]
    verify_inclusion(published.NODES[0, index], index, size, path, published.ROOTS[size])


@pytest.mark.parametrize(("first", "second"), published.CONSISTENCY)
def test_the_published_consistency_proofs_are_built_and_verified(first, second):
    places = published.CONSISTENCY[first, second]
    assert [[(n.level, n.index) for n in e] for e in consistency_nodes(first, second)] == [
        [place] for place in places
    ]
    path = [published.NODES[place] for place in places]
    verify_consistency(first, second, path, published.ROOTS[first], published.ROOTS[second])


def test_the_ragged_right_edge_is_one_element_of_several_nodes():
    assert inclusion_nodes(0, 7) == [
        (Node(0, 1),),
        (Node(1, 1),),
        (Node(1, 2), Node(0, 6)),
    ]


@slow
@given(begin=st.integers(0, 5000), length=st.integers(0, 5000))
def test_perfect_nodes_cover_the_range_without_gap(begin, length):
    nodes = perfect_nodes(begin, begin + length)
    edge = begin
    for node in nodes:
        assert node.index << node.level == edge
        edge = node.end
    assert edge == begin + length
    # Fewest: no two neighbours are halves of one node.
    for left, right in pairwise(nodes):
        halves = left.level == right.level and left.index % 2 == 0
        assert not halves


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (8, 8), (-1, 8)])
def test_no_inclusion_proof_is_built_for_a_leaf_outside_the_tree(index, size):
    with pytest.raises(ValueError, match="not in a tree"):
        inclusion_nodes(index, size)
    with pytest.raises(ProofError, match="not in a tree"):
        verify_inclusion(published.NODES[0, 0], index, size, [], published.ROOTS[1])


@pytest.mark.parametrize(("first", "second"), [(0, 0), (0, 1), (2, 1), (1, 0), (-1, 1)])
def test_no_consistency_proof_is_built_from_nothing_or_backwards(first, second):
    with pytest.raises(ValueError, match="no consistency proof"):
        consistency_nodes(first, second)
    with pytest.raises(ProofError, match="no consistency proof"):
        verify_consistency(first, second, [], EMPTY_ROOT, EMPTY_ROOT)


def test_a_backward_range_has_no_cover():
    with pytest.raises(ValueError, match="not a range"):
        perfect_nodes(3, 2)


def test_equal_sizes_take_equal_roots_and_an_empty_path():
    root, other = published.ROOTS[5], published.ROOTS[6]
    verify_consistency(5, 5, [], root, root)
    with pytest.raises(ProofError, match="sizes are equal"):
        verify_consistency(5, 5, [], root, other)
    with pytest.raises(ProofError, match="not empty"):
        verify_consistency(5, 5, [root], root, root)


def test_different_sizes_never_take_an_empty_path():
    for first in range(1, 8):
        with pytest.raises(ProofError, match="is empty"):
            verify_consistency(first, 8, [], published.ROOTS[first], published.ROOTS[8])


@contextmanager
def refused(statement: str) -> Iterator[None]:
    """Expect a ProofError; if none comes, say which statement was believed."""
    try:
        yield
    except ProofError:
        return
    pytest.fail(f"believed: {statement}")


Path = list[bytes]


def inclusion_probes(
    index: int, size: int, path: Path, leaf: bytes, root: bytes
) -> Iterator[tuple[str, tuple[int, int, Path, bytes, bytes]]]:
    """Wrong statements made from a true one, in the kinds of the public good/bad vectors."""
    garbage, random_root = b"", leaf_hash(b"elsewhere")
    for wrong in {index - 1, index + 1, index ^ 2, 2**64 - 1}:
        yield f"index {wrong}", (wrong, size, path, leaf, root)
    for wrong in (size * 2, size // 2):
        yield f"size {wrong}", (index, wrong, path, leaf, root)
    yield "wrong leaf", (index, size, path, leaf_hash(b"wrong"), root)
    yield "empty leaf", (index, size, path, b"", root)
    yield "empty root", (index, size, path, leaf, b"")
    yield "root of nothing", (index, size, path, leaf, EMPTY_ROOT)
    yield "random root", (index, size, path, leaf, random_root)
    for extra in (garbage, root, leaf):
        yield "something before", (index, size, [extra, *path], leaf, root)
        yield "something after", (index, size, [*path, extra], leaf, root)
    for position, value in enumerate(path):
        changed = [*path[:position], reference.flipped(value, 3), *path[position + 1 :]]
        yield f"bit 3 of {position}", (index, size, changed, leaf, root)
        yield (
            f"without {position}",
            (index, size, path[:position] + path[position + 1 :], leaf, root),
        )
        yield (
            f"inserted at {position}",
            (index, size, [*path[:position], random_root, *path[position:]], leaf, root),
        )


@pytest.mark.parametrize(("index", "size"), published.INCLUSION)
def test_every_wrong_inclusion_statement_is_refused(index, size):
    path = [published.NODES[place] for place in published.INCLUSION[index, size]]
    leaf, root = published.NODES[0, index], published.ROOTS[size]
    for name, (i, s, wrong_path, wrong_leaf, wrong_root) in inclusion_probes(
        index, size, path, leaf, root
    ):
        with refused(name):
            verify_inclusion(wrong_leaf, i, s, wrong_path, wrong_root)


def consistency_probes(
    first: int, second: int, path: Path, root1: bytes, root2: bytes
) -> Iterator[tuple[str, tuple[int, int, Path, bytes, bytes]]]:
    random_root = leaf_hash(b"elsewhere")
    for wrong in {first - 1, first + 1, first ^ 2}:
        yield f"first {wrong}", (wrong, second, path, root1, root2)
    for wrong in (second * 2, second // 2):
        yield f"second {wrong}", (first, wrong, path, root1, root2)
    yield "wrong first root", (first, second, path, random_root, root2)
    yield "wrong second root", (first, second, path, root1, random_root)
    if root1 != root2:
        yield "swapped roots", (first, second, path, root2, root1)
        yield "no path", (first, second, [], root1, root2)
        yield "cut short", (first, second, path[:-1], root1, root2)
        yield "begun late", (first, second, path[1:], root1, root2)
    for extra in (b"", root1, root2, *path[:1]):
        yield "something before", (first, second, [extra, *path], root1, root2)
        yield "something after", (first, second, [*path, extra], root1, root2)
    for position, value in enumerate(path):
        changed = [*path[:position], reference.flipped(value, 4), *path[position + 1 :]]
        yield f"bit 4 of {position}", (first, second, changed, root1, root2)


@pytest.mark.parametrize(("first", "second"), published.CONSISTENCY)
def test_every_wrong_consistency_statement_is_refused(first, second):
    path = [published.NODES[place] for place in published.CONSISTENCY[first, second]]
    roots = published.ROOTS[first], published.ROOTS[second]
    for name, statement in consistency_probes(first, second, path, *roots):
        with refused(name):
            verify_consistency(*statement)


@slow
@given(pair=pairs, bit=st.integers(0, 255), where=st.integers(0, 1000))
def test_one_flipped_bit_anywhere_breaks_an_inclusion_proof(pair, bit, where):
    index, size = pair
    leaves = reference.entries(size)
    parts = [leaf_hash(leaves[index]), reference.mth(leaves), *reference.path(index, leaves)]
    where %= len(parts)
    parts[where] = reference.flipped(parts[where], bit)
    with pytest.raises(ProofError):
        verify_inclusion(parts[0], index, size, parts[2:], parts[1])


@slow
@given(pair=pairs, bit=st.integers(0, 255), where=st.integers(0, 1000))
def test_one_flipped_bit_anywhere_breaks_a_consistency_proof(pair, bit, where):
    first, second = pair[0] + 1, pair[1]
    leaves = reference.entries(second)
    roots = [reference.mth(leaves[:first]), reference.mth(leaves)]
    parts = [*roots, *reference.proof(first, leaves)]
    where %= len(parts)
    parts[where] = reference.flipped(parts[where], bit)
    with pytest.raises(ProofError):
        verify_consistency(first, second, parts[2:], parts[0], parts[1])


def test_a_path_proves_one_place_only():
    leaves = reference.entries(11)
    root = reference.mth(leaves)
    for index in range(11):
        path = reference.path(index, leaves)
        for claimed in set(range(12)) - {index}:
            with pytest.raises(ProofError):
                verify_inclusion(leaf_hash(leaves[index]), claimed, 11, path, root)


def test_a_leaf_is_a_whole_hash_even_if_it_equals_the_root():
    leaf = published.NODES[0, 0]
    verify_inclusion(leaf, 0, 1, [], leaf)
    for short in (b"", leaf[:31]):
        with pytest.raises(ProofError, match="leaf hash"):
            verify_inclusion(short, 0, 1, [], short)


def test_a_changed_history_is_never_consistent():
    old, new = reference.entries(9), reference.entries(23)
    new[random.Random(7).randrange(9)] = b"rewritten"
    path = reference.proof(9, new)
    with pytest.raises(ProofError, match="first root"):
        verify_consistency(9, 23, path, reference.mth(old), reference.mth(new))


def test_errors_say_what_is_wrong():
    leaf, root = published.NODES[0, 0], published.ROOTS[8]
    path = [published.NODES[place] for place in published.INCLUSION[0, 8]]
    with pytest.raises(ProofError, match="3 bytes instead of 32"):
        verify_inclusion(leaf, 0, 8, [b"abc", *path[1:]], root)
    with pytest.raises(ProofError, match="too short"):
        verify_inclusion(leaf, 0, 8, path[:-1], root)
    with pytest.raises(ProofError, match="too long"):
        verify_inclusion(leaf, 0, 8, [*path, leaf], root)
    with pytest.raises(ProofError, match="does not lead to the root"):
        verify_inclusion(leaf, 0, 8, path, published.ROOTS[7])
