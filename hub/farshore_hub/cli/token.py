"""`farshore-hub token`: tokens for people and scripts."""

from __future__ import annotations

from pathlib import Path

import click

from farshore_hub.cli.options import as_json, data_dir, print_json, print_table, shown_time
from farshore_hub.fleet import api_tokens
from farshore_hub.fleet.api_tokens import Role
from farshore_hub.opening import open_hub

command = click.Group("token", help="Make, list and revoke API tokens for people and scripts.")


@command.command("add")
@click.argument("name")
@click.option("--role", type=click.Choice([str(role) for role in Role]), required=True, help="What its bearer may do.")
@as_json
@data_dir
def add(name: str, role: str, as_json: bool, data_dir: Path) -> None:  # noqa: FBT001 - click's way
    """Make a token and print it; it cannot be shown again.

    A viewer reads, an operator also adds sites, an admin also revokes them.

    \b
    Example:
      farshore-hub token add grafana --role viewer

    \b
    Exit codes: 0 made, 5 the name is not allowed, 6 there is one of that name
    """
    with open_hub(data_dir) as hub:
        token = api_tokens.add(hub.fleet, name, Role(role))
    if as_json:
        print_json({"name": name, "role": role, "token": token})
    else:
        click.echo(token)


@command.command("list")
@as_json
@data_dir
def listing(as_json: bool, data_dir: Path) -> None:  # noqa: FBT001 - click's way
    """List all tokens, the revoked ones too. The tokens themselves are not kept.

    \b
    Example:
      farshore-hub token list --json

    \b
    Exit codes: 0 listed
    """
    with open_hub(data_dir) as hub:
        found = api_tokens.listing(hub.fleet)
    if as_json:
        shown = ("name", "role", "created_us", "revoked_us")
        print_json([{key: getattr(token, key) for key in shown} for token in found])
        return
    rows = [[token.name, token.role, shown_time(token.created_us), shown_time(token.revoked_us)] for token in found]
    print_table(("name", "role", "made", "revoked"), rows)


@command.command("revoke")
@click.argument("name")
@data_dir
def revoke(name: str, data_dir: Path) -> None:
    """Make a token worthless, at once.

    \b
    Example:
      farshore-hub token revoke grafana

    \b
    Exit codes: 0 done, 6 there is no such token
    """
    with open_hub(data_dir) as hub:
        api_tokens.revoke(hub.fleet, name)
    click.echo(f"token {name} is revoked")
