"""A Debian package: an environment of its own under /usr/lib, the service, its settings, and what shows how to use it.

The environment is a virtual one over the system's Python. Of the system nothing is changed but by dpkg itself.
"""

from __future__ import annotations

import gzip
import hashlib
import shutil
import subprocess
from importlib import import_module
from pathlib import Path
from typing import Final

import click

from farshore_build.completion import write_completions
from farshore_build.environment import make_environment
from farshore_build.manual import write_manual
from farshore_build.products import PACKAGING, ROOT, Product
from farshore_build.sbom import write_sbom
from farshore_build.stamp import Stamp

_SCRIPTS: Final = ("postinst", "prerm", "postrm")
_KIB: Final = 1024
_LAUNCHER: Final = """\
#!/{home}/bin/python -I
import sys

from {module} import {function}

sys.exit({function}())
"""


def make_deb(product: Product, architecture: str, stamp: Stamp, work: Path, output: Path) -> Path:
    """Make the package in the folder `output`.

    Raises:
        subprocess.CalledProcessError: a tool failed, and has said why.
    """
    root = work / "root"
    environment = make_environment(product, architecture, work, stamp)
    _home(product, root, environment)
    _service(product, root)
    _documents(product, root, stamp)
    _about(product, architecture, stamp, root)
    _settle_modes(root, product)
    output.mkdir(parents=True, exist_ok=True)
    made = output / f"{product.name}_{version_of(product, stamp)}_{architecture}.deb"
    # One thread: how many there are may show in the bytes.
    command = ["dpkg-deb", "--build", "--root-owner-group", f"-Z{product.packed}", "--threads-max=1"]
    command += [str(root), str(made)]
    subprocess.run(command, env=stamp.environment, check=True, stdout=subprocess.DEVNULL)
    return made


def version_of(product: Product, stamp: Stamp) -> str:
    """Debian's version; a package for one Python only says for which."""
    only = f"+py{product.pythons[0]}" if len(product.pythons) == 1 else ""
    return f"{stamp.version}{only}"


def command_of(product: Product) -> click.Command:
    """The product's command with all its subcommands."""
    command: click.Command = import_module(product.command).root
    return command


def _home(product: Product, root: Path, environment: Path) -> None:
    """A virtual environment that each of the product's Pythons takes for its own."""
    home = root / product.home
    home.mkdir(parents=True)
    shutil.move(environment.with_name("bin"), home / "bin")
    shutil.move(environment, home / "lib" / "site-packages")
    for python in product.pythons:
        (home / "lib" / f"python{python}").mkdir()
        (home / "lib" / f"python{python}" / "site-packages").symlink_to("../site-packages")
    (home / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = false\n")
    (home / "bin" / "python").symlink_to("/usr/bin/python3")
    module, function = product.entry.split(":")
    (home / "bin" / product.name).write_text(_LAUNCHER.format(home=product.home, module=module, function=function))
    (root / "usr/bin").mkdir()
    (root / "usr/bin" / product.name).symlink_to(f"../lib/{product.name}/bin/{product.name}")


def _service(product: Product, root: Path) -> None:
    units = root / "usr/lib/systemd/system"
    units.mkdir(parents=True)
    shutil.copyfile(product.folder / f"{product.name}.service", units / f"{product.name}.service")
    for settings in product.folder.glob("*.toml"):
        (root / "etc" / product.name).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(settings, root / "etc" / product.name / settings.name)


def _documents(product: Product, root: Path, stamp: Stamp) -> None:
    command = command_of(product)
    write_completions(command, product.name, root)
    manuals = root / "usr/share/man/man1"
    manuals.mkdir(parents=True)
    (manuals / f"{product.name}.1.gz").write_bytes(write_manual(command, product.name, stamp))
    documents = root / "usr/share/doc" / product.name
    documents.mkdir(parents=True)
    (documents / "copyright").write_text((PACKAGING / "debian" / "copyright").read_text())
    (documents / "changelog.gz").write_bytes(gzip.compress((ROOT / "CHANGELOG.md").read_bytes(), mtime=0))
    bill = write_sbom(product, root / product.home / "lib" / "site-packages", stamp)
    (documents / f"{product.name}.cdx.json").write_bytes(bill)


def _about(product: Product, architecture: str, stamp: Stamp, root: Path) -> None:
    about = root / "DEBIAN"
    files = sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    sums = [f"{hashlib.md5(each.read_bytes()).hexdigest()}  {each.relative_to(root)}" for each in files]  # noqa: S324
    kept = [f"/{each.relative_to(root)}" for each in files if each.is_relative_to(root / "etc")]
    about.mkdir()
    (about / "md5sums").write_text("\n".join(sums) + "\n")
    (about / "conffiles").write_text("".join(f"{each}\n" for each in kept))
    (about / "control").write_text(_control(product, architecture, stamp, sum(each.stat().st_size for each in files)))
    for name in _SCRIPTS:
        (about / name).write_text((PACKAGING / "debian" / name).read_text().replace("@name@", product.name))


def _control(product: Product, architecture: str, stamp: Stamp, size: int) -> str:
    return f"""\
Package: {product.name}
Version: {version_of(product, stamp)}
Architecture: {architecture}
Maintainer: The Farshore developers <farshore@localhost>
Installed-Size: {size // _KIB}
Depends: adduser, python3 (>= {product.pythons[0]}), python3 (<< {_after(product.pythons[-1])})
Section: net
Priority: optional
Description: {product.summary}
 {product.description.replace(chr(10), chr(10) + " ")}
"""


def _after(python: str) -> str:
    """The version that follows, which the package is not for: `3.14` after `3.13`."""
    major, _, minor = python.partition(".")
    return f"{major}.{int(minor) + 1}"


def _settle_modes(root: Path, product: Product) -> None:
    """The same modes whatever the umask was."""
    own = root / product.home / "bin"
    programs = {*own.iterdir(), *(root / "DEBIAN" / name for name in _SCRIPTS)}
    for path in (root, *root.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path in programs else 0o644)
