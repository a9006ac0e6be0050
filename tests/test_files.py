"""Small files: the old content or the new, and nothing beside them."""

import os
from pathlib import Path
from unittest.mock import patch

import pytest

from chs_ml.files import part_of, remove_parts, write_atomically


def test_a_refused_write_leaves_the_old_content_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    write_atomically(path, b"old")
    with patch.object(os, "fsync", side_effect=OSError(28, "full")), pytest.raises(OSError, match="full"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_parts_of_one_file_are_removed_and_no_others(tmp_path: Path) -> None:
    path, other = tmp_path / "a[1].csv", tmp_path / "a1.csv"
    for file in (part_of(path), part_of(path), path):
        file.write_text("x")
    kept = part_of(other)
    kept.write_text("x")
    remove_parts(path)
    assert sorted(tmp_path.iterdir()) == sorted([path, kept])
    remove_parts(tmp_path / "no folder" / "b.csv")
