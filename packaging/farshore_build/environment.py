"""The Python packages of a product: ours and the pinned ones, as one folder that several versions of Python can use.

A compiled module's file name says for which Python it is, so the versions lie beside each other; whatever else differs
between two of them is an error.
"""

from __future__ import annotations

import filecmp
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from farshore_build.products import ARCHITECTURES, ROOT, Product
from farshore_build.stamp import Stamp

_LIBC: Final = "manylinux_2_36"
"""Debian 12's; newer systems have newer ones."""
_BUILD_FILE: Final = Path("farshore_shell") / "build.txt"
_DIFFERS: Final = "WHEEL"
"""Says for which Python a distribution's files were; read by nobody at run time."""


_ELF: Final = b"\x7fELF"
_MACHINES: Final = {"amd64": 62, "arm64": 183}
"""For which machine a compiled file is: e_machine of elf(5)."""


class Differs(Exception):
    """A file is not the same for two versions of Python."""


class WrongMachine(Exception):
    """A compiled file is for another machine."""


def make_environment(product: Product, architecture: str, work: Path, stamp: Stamp) -> Path:
    """The folder with everything that the product imports; in `bin` beside it are the programs that it starts.

    Raises:
        Differs: the pinned packages cannot share a folder.
        WrongMachine: one of them has brought what would not run there.
        subprocess.CalledProcessError: a tool failed, and has said why.
    """
    ours = _our_wheel(work / "wheel", stamp)
    merged = work / "site-packages"
    for python in product.pythons:
        one = work / f"python{python}"
        platform = f"{ARCHITECTURES[architecture]}-{_LIBC}"
        _install(one, python, platform, "--require-hashes", "--requirement", str(product.requirements))
        _install(one, python, platform, str(ours))
        _keep_programs(one / "bin", product.programs, work / "bin")
        _drop(one, product.dropped)
        _merge(one, merged)
        shutil.rmtree(one)
    check_machine(work, architecture)
    (merged / _BUILD_FILE).write_text(stamp.text + "\n")
    return merged


def tool(name: str) -> str:
    """The path of a program of the extra `package`."""
    return str(Path(sys.executable).with_name(name))


def check_machine(folder: Path, architecture: str) -> None:
    """Every compiled file in it is for that architecture.

    Raises:
        WrongMachine: one is not.
    """
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        with path.open("rb") as file:
            head = file.read(20)
        if head.startswith(_ELF) and int.from_bytes(head[18:20], "little") != _MACHINES[architecture]:
            raise WrongMachine(f"{path.relative_to(folder)} is not for {architecture}")


def _our_wheel(folder: Path, stamp: Stamp) -> Path:
    command = [tool("uv"), "build", "--quiet", "--wheel", "--no-build-isolation", "--python", sys.executable]
    subprocess.run([*command, "--out-dir", str(folder), str(ROOT)], env=stamp.environment, check=True)
    (made,) = folder.glob("*.whl")
    return made


def _install(into: Path, python: str, platform: str, *what: str) -> None:
    """Unpack wheels for another Python than this one, and nothing but what is named."""
    command = [tool("uv"), "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--link-mode", "copy"]
    target = ["--target", str(into), "--python-version", python, "--python-platform", platform]
    subprocess.run([*command, *target, *what], cwd=ROOT, check=True)


def _keep_programs(found: Path, names: tuple[str, ...], into: Path) -> None:
    """Of all the scripts only what is named: the others begin with the path of a Python that is not there."""
    into.mkdir(exist_ok=True)
    for name in names:
        shutil.copyfile(found / name, into / name)
    if found.exists():
        shutil.rmtree(found)


def _drop(folder: Path, patterns: tuple[str, ...]) -> None:
    for each in [found for pattern in patterns for found in folder.glob(pattern)]:
        if each.is_dir():
            shutil.rmtree(each)
        else:
            each.unlink(missing_ok=True)


def _merge(one: Path, into: Path) -> None:
    for source in sorted(path for path in one.rglob("*") if path.is_file()):
        name = source.relative_to(one)
        target = into / name
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        elif name.name != _DIFFERS and not filecmp.cmp(source, target, shallow=False):
            raise Differs(f"{name} is another one for {one.name}: these packages need a folder for each Python")
