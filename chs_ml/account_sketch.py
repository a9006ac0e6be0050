"""Which accounts a model was fitted on, without their names: a Bloom filter of keyed hashes."""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chs_ml.errors import BundleError

Mask = NDArray[np.bool_]

BITS_PER_ACCOUNT = 10
HASHES = 7


@dataclass(frozen=True)
class AccountSketch:
    """A set of accounts that can be asked about and not listed (Bloom 1970).

    It never forgets an account that it holds; of the others it takes about 1 in 120 for one it holds. It
    needs 1.25 bytes per account. Names are hashed with the salt, so that they cannot be read out of it;
    whoever has both the sketch and a list of names can ask for each whether it is likely to be inside.

    Attributes
    ----------
    salt : str
        Key of the hashes, up to 64 bytes.
    bits : ndarray of bool, shape (m,)
        The filter.
    accounts : int
        Accounts held.
    """

    salt: str
    bits: Mask
    accounts: int

    @classmethod
    def of(cls, accounts: Iterable[str], *, salt: str) -> Self:
        """Hold these accounts."""
        names = set(accounts)
        bits = np.zeros(8 * max(8, -(-len(names) * BITS_PER_ACCOUNT // 8)), dtype=bool)
        if names:
            bits[_positions(names, salt, len(bits)).ravel()] = True
        return cls(salt, bits, len(names))

    def holds(self, accounts: pd.Series) -> Mask:
        """Whether each account of shape (n,) is held: certain where False, likely where True."""
        codes, names = pd.factorize(accounts.astype("str"))
        if not len(names):
            return np.zeros(0, dtype=bool)
        found = self.bits[_positions(names, self.salt, len(self.bits))]
        return np.asarray(np.all(found, axis=1))[codes]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a bundle."""
        packed = base64.b64encode(np.packbits(self.bits).tobytes()).decode()
        return {"salt": self.salt, "bits": packed, "accounts": self.accounts}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read `to_dict`; BundleError where it does not fit."""
        try:
            packed = np.frombuffer(base64.b64decode(data["bits"], validate=True), dtype=np.uint8)
            return cls(str(data["salt"]), np.unpackbits(packed).astype(bool), int(data["accounts"]))
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError(
                "The model's list of fitted accounts must hold salt, bits and accounts; reading it failed "
                f"at {error!r}. Train the model again."
            ) from error


def _positions(names: Iterable[str], salt: str, size: int) -> NDArray[np.int64]:
    """Positions of shape (accounts, hashes), by double hashing (Kirsch & Mitzenmacher 2006)."""
    key = salt.encode()[:64]
    digests = b"".join(hashlib.blake2b(name.encode(), key=key, digest_size=16).digest() for name in names)
    halves = np.frombuffer(digests, dtype="<u8").reshape(-1, 2)
    steps = np.arange(HASHES, dtype=np.uint64)
    with np.errstate(over="ignore"):
        mixed = halves[:, :1] + steps * (halves[:, 1:] | np.uint64(1))
    return np.asarray(mixed % np.uint64(size), dtype=np.int64)
