"""Proofs of the tree with one thing wrong, for the tests that none of them is accepted."""

import random
from collections.abc import Sequence


def mutated(proof: Sequence[bytes], chance: random.Random) -> list[bytes]:
    """The proof with one thing wrong."""
    found = list(proof)
    match chance.randrange(5):
        case 0 if found:
            place = chance.randrange(len(found))
            flipped = bytearray(found[place])
            flipped[chance.randrange(32)] ^= 1 << chance.randrange(8)
            found[place] = bytes(flipped)
        case 1 if found:
            del found[chance.randrange(len(found))]
        case 2 if len(found) > 1:
            place = chance.randrange(len(found) - 1)
            found[place], found[place + 1] = found[place + 1], found[place]
        case 3 if found:
            found.insert(chance.randrange(len(found)), chance.choice(found))
        case _:
            found.insert(chance.randrange(len(found) + 1), chance.randbytes(32))
    return found
