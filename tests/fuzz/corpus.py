"""Inputs worth keeping: a file for each decoder, an input a line, in hexadecimal."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).with_name("corpus")

INTERESTING = [
    bytes.fromhex(text) for text in ("", "00", "ff", "7f", "80", "c0", "91", "81", "d6ff", "c70c09", "dfffffffff")
]


def file_of(target: str) -> Path:
    return FOLDER / f"{target.replace(' ', '_')}.hex"


def load(target: str) -> list[bytes]:
    """The inputs that are kept for a decoder."""
    file = file_of(target)
    return [bytes.fromhex(line) for line in file.read_text().split()] if file.exists() else []


def save(target: str, inputs: list[bytes]) -> None:
    """Keep these inputs, each once, the shortest first."""
    lines = [data.hex() for data in sorted(set(inputs), key=lambda data: (len(data), data)) if data]
    file_of(target).write_text("".join(f"{line}\n" for line in lines))


def mutated(seeds: list[bytes], count: int, seed: int) -> Iterator[bytes]:
    """`count` inputs made of `seeds`, the same ones each time."""
    chance = random.Random(seed)
    for _ in range(count):
        data = bytearray(chance.choice(seeds))
        for _ in range(chance.randint(1, 4)):
            at = chance.randint(0, len(data))
            match chance.randrange(5):
                case 0:
                    data[at : at + 1] = bytes((chance.randrange(256),))
                case 1 if at < len(data):
                    data[at] ^= 1 << chance.randrange(8)
                case 2:
                    del data[at : at + chance.randint(1, 8)]
                case 3:
                    data[at:at] = chance.choice(INTERESTING)
                case _:
                    other = chance.choice(seeds)
                    begin = chance.randint(0, len(other))
                    data[at:at] = other[begin : begin + chance.randint(1, 16)]
        yield bytes(data)
