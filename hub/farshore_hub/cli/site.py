"""`farshore-hub site`: add, list and revoke sites."""

from __future__ import annotations

from pathlib import Path

import click

from farshore_hub.cli.options import as_json, data_dir, expires, print_json, print_table, shown_time
from farshore_hub.fleet import sites
from farshore_hub.opening import open_hub
from farshore_hub.views import SiteView

command = click.Group("site", help="Add, list and revoke sites.")


@command.command("add")
@click.argument("name")
@expires
@as_json
@data_dir
def add(name: str, expires: int, as_json: bool, data_dir: Path) -> None:  # noqa: FBT001 - click's way
    """Add a site and print its join token.

    Whoever has the token becomes that site, once. Take it there and run: farshore-agent enrol TOKEN

    \b
    Examples:
      farshore-hub site add pump-station-7
      farshore-hub site add pump-station-7 --expires 7d --json

    \b
    Exit codes: 0 added, 5 the name is not allowed, 6 there is one of that name
    """
    with open_hub(data_dir) as hub:
        token = sites.add(hub.fleet, name, expires)
    _print_token(name, token, as_json=as_json)


@command.command("token")
@click.argument("name")
@expires
@as_json
@data_dir
def token(name: str, expires: int, as_json: bool, data_dir: Path) -> None:  # noqa: FBT001 - click's way
    """Print another join token for a site that is known.

    For a new machine at the site, or a site that was revoked. Unused earlier tokens stop working.

    \b
    Example:
      farshore-hub site token pump-station-7

    \b
    Exit codes: 0 done, 6 there is no such site
    """
    with open_hub(data_dir) as hub:
        made = sites.fresh_token(hub.fleet, name, expires)
    _print_token(name, made, as_json=as_json)


@command.command("list")
@as_json
@data_dir
def listing(as_json: bool, data_dir: Path) -> None:  # noqa: FBT001 - click's way
    """List all sites. Times are UTC.

    \b
    Example:
      farshore-hub site list --json

    \b
    Exit codes: 0 listed
    """
    with open_hub(data_dir) as hub:
        found = sites.listing(hub.fleet)
    if as_json:
        print_json([SiteView.model_validate(site).model_dump(mode="json") for site in found])
        return
    times = [[shown_time(at) for at in (site.created_us, site.enrolled_us, site.last_seen_us)] for site in found]
    rows = [[site.name, site.state, *at, site.agent_version or "-"] for site, at in zip(found, times, strict=True)]
    print_table(("site", "state", "added", "enrolled", "last heard", "agent"), rows)


@command.command("revoke")
@click.argument("name")
@data_dir
def revoke(name: str, data_dir: Path) -> None:
    """Shut a site out, at once. What it has delivered stays.

    \b
    Example:
      farshore-hub site revoke pump-station-7

    \b
    Exit codes: 0 done, 6 there is no such site
    """
    with open_hub(data_dir) as hub:
        sites.revoke(hub.fleet, name)
    click.echo(f"site {name} is revoked; to let it join anew: farshore-hub site token {name}")


def _print_token(name: str, token: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"site": name, "token": token})
    else:
        click.echo(token)
        click.echo(f"at {name}: farshore-agent enrol TOKEN", err=True)
