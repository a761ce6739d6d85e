"""A product in one file, for a machine on which nothing can be installed: it needs a Python that the product runs with.

shiv makes it. At its first start it unpacks itself below ~/.shiv (or $SHIV_ROOT), because compiled modules are loaded
from files only.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

from farshore_build.environment import make_environment, tool
from farshore_build.products import Product
from farshore_build.stamp import Stamp

_PYTHON: Final = "/usr/bin/env python3"


def make_pyz(product: Product, architecture: str, stamp: Stamp, work: Path, output: Path) -> Path:
    """Make the file in the folder `output`.

    Raises:
        subprocess.CalledProcessError: a tool failed, and has said why.
    """
    environment = make_environment(product, architecture, work, stamp)
    _settle_modes(environment)
    output.mkdir(parents=True, exist_ok=True)
    made = output / f"{product.name}_{stamp.version}_{architecture}.pyz"
    what = ["--entry-point", product.entry, "--site-packages", str(environment), "--output-file", str(made)]
    command = [tool("shiv"), "--reproducible", "--compressed", "--python", _PYTHON, *what]
    subprocess.run(command, env=stamp.environment, check=True, stdout=subprocess.DEVNULL)
    return made


def _settle_modes(environment: Path) -> None:
    """The same modes whatever the umask was; and no bytecode of the Python that happened to build."""
    for path in sorted(environment.rglob("*")):
        if path.name == "__pycache__":
            shutil.rmtree(path)
        elif path.exists():
            path.chmod(0o755 if path.is_dir() else 0o644)
