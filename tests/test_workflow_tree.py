"""RFC 6962: the known answers of Certificate Transparency, properties, and forged proofs.

The roots here are also recomputed from the RFC's own recursive definition, which shares nothing
with the code under test.
"""

import hashlib
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from proofs import mutated

from workflow.tree import (
    EMPTY,
    Tree,
    leaf_hash,
    node_hash,
    verify_consistency,
    verify_inclusion,
)

# The test data of the certificate-transparency project (merkletree tests).
LEAVES = [
    bytes.fromhex(written)
    for written in (
        *("", "00", "10", "2021", "3031", "40414243", "5051525354555657"),
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
ONE = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
TWO_TO_FOUR = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
FOUR_TO_EIGHT = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
FOUR = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
SIX_TO_EIGHT = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
FOUR_TO_SIX = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
INCLUSIONS = {
    (0, 1): [],
    (0, 8): [ONE, TWO_TO_FOUR, FOUR_TO_EIGHT],
    (5, 8): [FOUR, SIX_TO_EIGHT, ROOTS[4]],
    (2, 3): [ROOTS[2]],
    (1, 5): [ROOTS[1], TWO_TO_FOUR, FOUR],
}
CONSISTENCIES = {
    (1, 1): [],
    (1, 8): [ONE, TWO_TO_FOUR, FOUR_TO_EIGHT],
    (6, 8): [FOUR_TO_SIX, SIX_TO_EIGHT, ROOTS[4]],
    (2, 5): [TWO_TO_FOUR, FOUR],
}


def by_definition(leaves: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962, 2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    left, right = by_definition(leaves[:k]), by_definition(leaves[k:])
    return hashlib.sha256(b"\x01" + left + right).digest()


def made(number: int) -> list[bytes]:
    return [b"leaf %d" % place for place in range(number)]


def shown(proof: Sequence[bytes]) -> list[str]:
    return [one.hex() for one in proof]


@pytest.mark.parametrize("size", range(9))
def test_the_roots_are_those_of_certificate_transparency(size: int) -> None:
    assert Tree(LEAVES).root(size).hex() == ROOTS[size]
    assert Tree(LEAVES[:size]).root().hex() == ROOTS[size]


def test_leaves_and_nodes_are_told_apart() -> None:
    assert leaf_hash(b"").hex() == ROOTS[1]
    assert leaf_hash(b"\x00" * 64) != node_hash(b"\x00" * 32, b"\x00" * 32)
    assert hashlib.sha256(b"").digest() == EMPTY


@pytest.mark.parametrize(("index", "size"), INCLUSIONS)
def test_the_audit_paths_are_those_of_certificate_transparency(index: int, size: int) -> None:
    proof = Tree(LEAVES).inclusion(index, size)

    assert shown(proof) == INCLUSIONS[index, size]
    assert verify_inclusion(LEAVES[index], index, size, proof, bytes.fromhex(ROOTS[size]))


@pytest.mark.parametrize(("old", "new"), CONSISTENCIES)
def test_the_consistency_proofs_are_those_of_certificate_transparency(old: int, new: int) -> None:
    proof = Tree(LEAVES).consistency(old, new)

    assert shown(proof) == CONSISTENCIES[old, new]
    roots = bytes.fromhex(ROOTS[old]), bytes.fromhex(ROOTS[new])
    assert verify_consistency(old, new, proof, *roots)


def test_every_root_is_that_of_the_definition() -> None:
    leaves = made(70)
    tree = Tree(leaves)

    for size in range(71):
        assert tree.root(size) == by_definition(leaves[:size])


def test_every_proof_of_every_small_tree_is_accepted() -> None:
    leaves = made(34)
    tree = Tree(leaves)

    for size in range(1, 35):
        root = tree.root(size)
        for index in range(size):
            proof = tree.inclusion(index, size)
            assert verify_inclusion(leaves[index], index, size, proof, root)
        for old in range(size + 1):
            assert verify_consistency(old, size, tree.consistency(old, size), tree.root(old), root)


@given(st.integers(1, 3000), st.data())
def test_a_proof_of_a_large_tree_is_short_and_accepted(size: int, data: st.DataObject) -> None:
    old, index = data.draw(st.integers(0, size)), data.draw(st.integers(0, size - 1))
    leaves = made(size)
    tree = Tree(leaves)
    proof = tree.consistency(old, size)

    assert len(proof) <= size.bit_length() + 1
    assert verify_consistency(old, size, proof, tree.root(old), tree.root())
    path = tree.inclusion(index, size)
    assert len(path) <= size.bit_length()
    assert verify_inclusion(leaves[index], index, size, path, tree.root())


def test_no_mutated_proof_is_accepted_in_ten_thousand_tries() -> None:
    chance = random.Random(6962)
    leaves = made(300)
    tree = Tree(leaves)
    tried = 0
    while tried < 10_000:
        size = chance.randint(2, 300)
        old, index = chance.randint(1, size), chance.randrange(size)
        proof, path = tree.consistency(old, size), tree.inclusion(index, size)
        forged, bent = mutated(proof, chance), mutated(path, chance)
        if forged == proof or bent == path:
            continue
        tried += 1

        assert not verify_consistency(old, size, forged, tree.root(old), tree.root(size))
        assert not verify_inclusion(leaves[index], index, size, bent, tree.root(size))


def test_no_proof_is_accepted_for_another_root_size_or_leaf() -> None:
    chance = random.Random(9162)
    leaves = made(200)
    tree = Tree(leaves)
    for _ in range(10_000):
        size = chance.randint(2, 200)
        old = chance.randint(1, size - 1)
        index, wrong = chance.sample(range(size), 2)
        proof, path = tree.consistency(old, size), tree.inclusion(index, size)
        roots, other = (tree.root(old), tree.root(size)), chance.randbytes(32)

        assert not verify_consistency(old, size, proof, other, roots[1])
        assert not verify_consistency(old, size, proof, roots[0], other)
        assert not verify_consistency(old, size, proof, *reversed(roots))
        assert not verify_inclusion(leaves[wrong], index, size, path, roots[1])
        assert not verify_inclusion(leaves[index], wrong, size, path, roots[1])
        assert not verify_inclusion(leaves[index], index, size, path, roots[0])


@pytest.mark.parametrize("old", range(1, 8))
def test_a_proof_that_ends_below_the_root_of_a_larger_tree_is_refused(old: int) -> None:
    tree = Tree(LEAVES)
    proof, path = tree.consistency(old, 8), tree.inclusion(old, 8)

    assert not verify_consistency(old, 32, proof, tree.root(old), tree.root())
    assert not verify_inclusion(LEAVES[old], old, 32, path, tree.root())


@given(st.integers(-2, 10), st.integers(-2, 10), st.lists(st.binary(max_size=33), max_size=5))
def test_nonsense_is_refused_and_raises_nothing(
    first: int, second: int, proof: list[bytes]
) -> None:
    root = Tree(LEAVES).root()

    assert not verify_inclusion(b"none of them", first, second, proof, root)
    if (first, proof) != (second, []) and not (first == 0 <= second):
        assert not verify_consistency(first, second, proof, b"x" * 32, root)


def test_from_nothing_everything_grows_and_nothing_shrinks_to_it() -> None:
    root = Tree(LEAVES).root()

    assert verify_consistency(0, 8, [], EMPTY, root)
    assert not verify_consistency(0, 8, [], root, root)
    assert not verify_consistency(0, 8, [root], EMPTY, root)
    assert not verify_consistency(8, 0, [], root, EMPTY)
    assert not verify_consistency(0, 0, [], EMPTY, root)
    assert not verify_consistency(8, 8, [], ONE.encode(), root)


@pytest.mark.parametrize(("index", "size"), [(-1, 8), (8, 8), (0, 9), (0, 0)])
def test_a_leaf_that_is_not_there_has_no_path(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="no such tree"):
        Tree(LEAVES).inclusion(index, size)


@pytest.mark.parametrize(("old", "new"), [(-1, 8), (5, 4), (0, 9)])
def test_trees_that_are_not_there_have_no_proof(old: int, new: int) -> None:
    with pytest.raises(ValueError, match="no such tree"):
        Tree(LEAVES).consistency(old, new)
    with pytest.raises(ValueError, match="no such tree"):
        Tree(LEAVES).root(9)
