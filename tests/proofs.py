"""Proofs of the tree with one thing wrong, which nobody may accept; a witness's receipt."""

import random
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import county
from county import County

from workflow import checkpoint, witness
from workflow.note import Receipt

LATER = date(2023, 6, 20)
NOW = datetime(2026, 3, 1, 1, 2, 3, tzinfo=UTC)


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


def witnessed(place: County, folder: Path) -> Receipt:
    """What an outside witness answers to a checkpoint of the county as it stands."""
    made = checkpoint.make(place.database, county.noon(LATER))
    with place.database.reading() as connection:
        text = checkpoint.request(connection, made.checkpoint, 0).text
    (folder / "to-witness.txt").write_text(text, encoding="utf-8")
    done = witness.witness(folder / "to-witness.txt", folder / "state", "xinzhou", NOW)
    return done.receipt
