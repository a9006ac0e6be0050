"""The set of fitted accounts: none forgotten, few mistaken, no name inside."""

import json

import numpy as np
import pandas as pd
import pytest

from chs_ml.account_sketch import AccountSketch
from chs_ml.errors import BundleError

INSIDE = pd.Series([f"customer-{i}" for i in range(3000)])
OUTSIDE = pd.Series([f"customer-{i}" for i in range(10_000, 40_000)])


def test_no_account_is_forgotten_and_few_are_mistaken() -> None:
    sketch = AccountSketch.of(INSIDE, salt="data")
    assert sketch.holds(INSIDE).all()
    mistaken = sketch.holds(OUTSIDE).mean()
    expected = (1 - np.exp(-7 / 10)) ** 7  # Bloom's rate at 7 hashes and 10 bits per account
    assert mistaken == pytest.approx(expected, abs=4 * np.sqrt(expected / len(OUTSIDE)))
    repeated = pd.Series(["customer-1", "stranger", "customer-1"])
    np.testing.assert_array_equal(sketch.holds(repeated), [True, False, True])


def test_it_survives_text_and_holds_no_name() -> None:
    sketch = AccountSketch.of(INSIDE, salt="data")
    text = json.dumps(sketch.to_dict())
    assert "customer" not in text
    assert len(text) < 2 * len(INSIDE)
    again = AccountSketch.from_dict(json.loads(text))
    np.testing.assert_array_equal(again.bits, sketch.bits)
    assert again.holds(INSIDE).all()


def test_another_salt_is_another_sketch_and_order_is_none() -> None:
    sketch = AccountSketch.of(INSIDE, salt="data")
    assert (AccountSketch.of(INSIDE[::-1], salt="data").bits == sketch.bits).all()
    assert (AccountSketch.of(INSIDE, salt="other").bits != sketch.bits).any()


def test_an_empty_set_holds_nobody() -> None:
    sketch = AccountSketch.of([], salt="")
    assert not sketch.holds(INSIDE).any()
    assert sketch.holds(INSIDE[:0]).shape == (0,)


def test_damage_is_refused() -> None:
    with pytest.raises(BundleError, match="must hold salt, bits and accounts"):
        AccountSketch.from_dict({"salt": "data", "bits": "not base64!", "accounts": 3})
