"""The manual page of a command, made of its own help, so that both say the same: man(7), one page."""

from __future__ import annotations

import gzip
from collections.abc import Iterator

import click

from farshore_build.stamp import Stamp


def write_manual(command: click.Command, name: str, stamp: Stamp) -> bytes:
    """The page, compressed."""
    return gzip.compress("\n".join(_page(command, name, stamp)).encode() + b"\n", mtime=0)


def _page(root: click.Command, name: str, stamp: Stamp) -> Iterator[str]:
    context = click.Context(root, info_name=name)
    yield f'.TH {name.upper()} 1 "{stamp.date}" "Farshore {stamp.version}"'
    yield ".SH NAME"
    yield f"{name} \\- {_escaped(root.get_short_help_str(200).rstrip('.'))}"
    yield ".SH SYNOPSIS"
    yield f".B {name}\n{_escaped(' '.join(root.collect_usage_pieces(context)))}"
    yield ".SH DESCRIPTION"
    yield from _help(root)
    yield from _options(root, context)
    yield ".SH COMMANDS"
    yield from _commands(root, context)


def _commands(group: click.Command, context: click.Context) -> Iterator[str]:
    if not isinstance(group, click.Group):
        return
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        inner = click.Context(command, info_name=name, parent=context)
        if isinstance(command, click.Group):
            yield from _commands(command, inner)
            continue
        yield f".SS {_escaped(inner.command_path)} {_escaped(' '.join(command.collect_usage_pieces(inner)))}"
        yield from _help(command)
        yield from _options(command, inner)


def _help(command: click.Command) -> Iterator[str]:
    for paragraph in (command.help or "").split("\n\n"):
        lines = paragraph.strip("\n").splitlines()
        if lines and lines[0].strip() == "\b":
            yield from (".PP", ".nf", *map(_escaped, lines[1:]), ".fi")
        else:
            yield from (".PP", *map(_escaped, (line.strip() for line in lines)))


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record:
            yield from (".TP", f"\\fB{_escaped(record[0])}\\fR", _escaped(record[1]))


def _escaped(text: str) -> str:
    """As text for roff: no escapes, no requests, hyphens that can be copied."""
    plain = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{plain}" if plain.startswith((".", "'")) else plain
