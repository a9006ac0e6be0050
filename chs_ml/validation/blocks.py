"""Titled blocks of sentences, tables and lists, and their two forms: plain text and Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass

from chs_ml.validation.text import section, table, wrapped


@dataclass(frozen=True)
class Grid:
    """A table of text cells: k headers, rows of k cells."""

    headers: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Bullets:
    """A list of sentences."""

    items: Sequence[str]


Part = str | Grid | Bullets


@dataclass(frozen=True)
class Block:
    """A titled block; empty sentences are left out."""

    title: str
    parts: tuple[Part, ...]


def block(title: str, *parts: Part) -> Block:
    """A block of these parts; empty sentences and lists are left out."""
    return Block(title, tuple(part for part in parts if part not in ("", Bullets([]))))


def as_text(one: Block) -> str:
    """Plain text of at most 100 columns; a blank line before every table but the first part."""
    written: list[str] = []
    for part in one.parts:
        before = "\n" if isinstance(part, Grid) and written else ""
        written.append(before + _text(part))
    return section(one.title, *written)


def _text(part: Part) -> str:
    if isinstance(part, Grid):
        return table(part.headers, part.rows)
    if isinstance(part, Bullets):
        return "\n".join(wrapped(item, indent="  ", first="- ") for item in part.items)
    return wrapped(part)


def as_markdown(one: Block) -> str:
    """Markdown under a heading of the third level."""
    return "\n\n".join([f"### {one.title}", *map(_markdown, one.parts)])


def _markdown(part: Part) -> str:
    if isinstance(part, Grid):
        return markdown_table(part.headers, part.rows)
    if isinstance(part, Bullets):
        return "\n".join(f"- {item}" for item in part.items)
    return part


def markdown_table(headers: Sequence[str], rows: Sequence[Sequence[str]], *, right: bool = True) -> str:
    """A Markdown table, all columns but the first aligned right if asked; bars inside cells are escaped."""
    rule = [":---", *["---:" if right else ":---"] * (len(headers) - 1)]
    lines = [headers, rule, *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
