"""Two agents that go on from one moment: a virtual machine's snapshot, resumed twice.

A process cannot be copied here, so two real ones are started with what the copies would have in common: the state
folder, and the incarnation that is in the memory of the running agent.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Final

from tests.acceptance.commands import Daemon
from tests.acceptance.hub import Hub
from tests.acceptance.site import Site

LIFE: Final = bytes.fromhex("7777777777777777")

_PROGRAM: Final = """\
#!{python}
from farshore_agent.buffer.store import Store

opened = Store.open.__func__
Store.open = classmethod(lambda cls, path, **given: opened(cls, path, **given | {{"incarnation": {life!r}}}))

from farshore_agent.cli import main

main()
"""


def twins(hub: Hub, site: Site, folder: Path) -> tuple[Site, Site]:
    """The site that has stopped, and its copy; neither runs yet."""
    twin = Site(site.name, folder / "twin", hub.port)
    shutil.copytree(site.state, twin.state)
    twin.supply = type(site.supply)(f"{site.name}-twin")
    program = folder / "resumed-agent"
    program.write_text(_PROGRAM.format(python=sys.executable, life=LIFE))
    program.chmod(0o755)
    for each in (site, twin):
        log = each.folder / "resumed.log"
        each.daemon = Daemon(str(program), "--config", each.settings, "run", log=log)
    return site, twin
