"""The Merkle tree of RFC 6962: one root over the whole journal, and short proofs about it.

An inclusion proof shows that a leaf is in a tree, a consistency proof that a later tree only adds
to an earlier one. Hashes are SHA-256, 32 bytes. Nothing here knows what a leaf means.
"""

import hashlib
from collections.abc import Iterable, Sequence

SIZE = 32
EMPTY = hashlib.sha256().digest()


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf (RFC 6962, 2.1)."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """A growing tree that keeps the hash of every complete subtree: 64 bytes a leaf.

    A root or proof of any earlier size takes as many steps as the tree is high.
    """

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        # One row per height; the n-th hash of a row covers leaves n * 2**height onwards.
        self._rows: list[bytearray] = [bytearray()]
        for leaf in leaves:
            self.append(leaf)

    def __len__(self) -> int:
        return len(self._rows[0]) // SIZE

    def append(self, leaf: bytes) -> None:
        """Adds a leaf by its data."""
        found = leaf_hash(leaf)
        for height in range(len(self._rows) + 1):
            if height == len(self._rows):
                self._rows.append(bytearray())
            row = self._rows[height]
            row += found
            if len(row) // SIZE % 2:
                return
            found = node_hash(bytes(row[-2 * SIZE : -SIZE]), found)

    def root(self, size: int | None = None) -> bytes:
        """The root of the first `size` leaves, of all by default. Raises ValueError beyond."""
        size = len(self) if size is None else size
        self._require(0 <= size <= len(self))
        return self._range(0, size) if size else EMPTY

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """The audit path of a leaf (counted from 0) in the tree of `size` leaves.

        Raises ValueError when there is no such leaf.
        """
        self._require(0 <= index < size <= len(self))
        return self._path(index, 0, size)

    def consistency(self, old: int, new: int) -> list[bytes]:
        """The proof that the first `new` leaves begin with the first `old`; none from 0.

        Raises ValueError when there are no such trees.
        """
        self._require(0 <= old <= new <= len(self))
        return self._subproof(old, 0, new, whole=True) if 0 < old < new else []

    def _require(self, holds: bool) -> None:
        if not holds:
            raise ValueError("no such tree")

    def _range(self, start: int, end: int) -> bytes:
        length = end - start
        height = length.bit_length() - 1
        if length == 1 << height:
            place = (start >> height) * SIZE
            return bytes(self._rows[height][place : place + SIZE])
        middle = start + _split(length)
        return node_hash(self._range(start, middle), self._range(middle, end))

    def _path(self, index: int, start: int, end: int) -> list[bytes]:
        if end - start == 1:
            return []
        middle = start + _split(end - start)
        if index < middle:
            return [*self._path(index, start, middle), self._range(middle, end)]
        return [*self._path(index, middle, end), self._range(start, middle)]

    def _subproof(self, old: int, start: int, end: int, *, whole: bool) -> list[bytes]:
        """`whole`: the old tree begins where this one does, so the verifier has its root."""
        if old == end:
            return [] if whole else [self._range(start, end)]
        middle = start + _split(end - start)
        if old <= middle:
            return [
                *self._subproof(old, start, middle, whole=whole),
                self._range(middle, end),
            ]
        return [*self._subproof(old, middle, end, whole=False), self._range(start, middle)]


def _split(length: int) -> int:
    """The largest power of two that is smaller than the length."""
    return 1 << ((length - 1).bit_length() - 1)


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> bool:
    """Whether the proof shows that this data is the leaf `index` of the tree with this root.

    The algorithm is that of RFC 9162, 2.1.3.2.
    """
    if not 0 <= index < size or any(len(one) != SIZE for one in proof):
        return False
    place, last, found = index, size - 1, leaf_hash(leaf)
    for step in proof:
        if last == 0:
            return False
        if place % 2 or place == last:
            found = node_hash(step, found)
            while place % 2 == 0 and place:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, step)
        place, last = place >> 1, last >> 1
    return last == 0 and found == root


def verify_consistency(
    old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes
) -> bool:
    """Whether the proof shows that the tree of `new` leaves begins with that of `old`.

    The algorithm is that of RFC 9162, 2.1.4.2; from the empty tree every tree grows, without proof.
    """
    if not 0 <= old <= new or any(len(one) != SIZE for one in proof):
        return False
    if old == new or old == 0:
        begun = old_root == (EMPTY if old == 0 else new_root)
        return begun and not proof and (new > 0 or new_root == EMPTY)
    steps = [*([old_root] if old & (old - 1) == 0 else []), *proof]
    if not steps:
        return False
    place, last = old - 1, new - 1
    while place % 2:
        place, last = place >> 1, last >> 1
    was = now = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if place % 2 or place == last:
            was, now = node_hash(step, was), node_hash(step, now)
            while place % 2 == 0 and place:
                place, last = place >> 1, last >> 1
        else:
            now = node_hash(now, step)
        place, last = place >> 1, last >> 1
    return last == 0 and was == old_root and now == new_root
