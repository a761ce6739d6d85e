"""Makes what the virtual machine boots: Debian's kernel, a small initramfs, and a read-only disk with the commands.

The guest sees the interpreter, the libraries and this checkout under the very paths that they have here, so that the
command that runs there is the installed one, unmodified.
"""

from __future__ import annotations

import gzip
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

ROOT: Final = Path(__file__).parents[2]
BUSYBOX: Final = Path("/usr/bin/busybox")
KERNEL_PACKAGE: Final = "linux-image-cloud-amd64"
MIB: Final = 1024 * 1024

GUEST_ADDRESS: Final = "10.0.2.15"
HOST_ADDRESS: Final = "10.0.2.2"
"""QEMU's user network: the host as the guest sees it."""

_MODULES: Final = (
    *("virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci", "virtio_blk"),
    *("failover", "net_failover", "virtio_net"),
)
"""In the order in which they need each other; what the kernel has built in is not there as a file."""

_NOT_NEEDED: Final = shutil.ignore_patterns(
    "test", "tests", "idlelib", "ensurepip", "config-*", "site-packages", "tkinter"
)
_SOURCES: Final = ("protocol", "shell", "agent", "hub", "demo", "tests")
_MKFS: Final = ("mkfs.ext4", "-q", "-F", "-b", "4096", "-E", "lazy_itable_init=0,root_owner=0:0", "-d")
_SPARE: Final = 1.3
"""What a file system takes beside the files."""

_INIT: Final = """\
#!/bin/busybox sh
export PATH=/bin PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 TMPDIR=/run LANG=C.UTF-8
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
for module in {modules}; do [ -f /modules/$module.ko ] && insmod /modules/$module.ko; done
tries=0; until [ -b /dev/vdb ] || [ $tries -ge 50 ]; do usleep 100000; tries=$((tries + 1)); done
give_up() {{ echo "the $1 disk cannot be mounted"; poweroff -f; }}
mount -t ext4 -o ro /dev/vdb /system || give_up system
mount -t ext4 /dev/vda /system/data || give_up data
for each in proc sys dev; do mount -o bind /$each /system/$each; done
mount -t tmpfs run /system/run
ip link set lo up; ip addr add {address}/24 dev eth0; ip link set eth0 up
# Lets the host's forwarded connections reach a door that listens on the loopback address only.
echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet
echo "booted"
chroot /system {command}
echo "the command ended with $?"
poweroff -f
"""


class GuestUnavailable(RuntimeError):
    """A part of the guest cannot be made on this machine; the text says which and what to do."""


@dataclass(frozen=True, slots=True)
class Guest:
    """What QEMU needs to boot."""

    kernel: Path
    initramfs: Path
    system: Path


def make_guest(folder: Path, kernels: Path, command: Sequence[str], extras: Iterable[str] = ()) -> Guest:
    """Make a guest that mounts its data disk at `/data` and runs `command`.

    Args:
        folder: where it is made.
        kernels: where the kernel is kept from run to run; it is fetched only if it is not there yet.
        command: the program and its arguments, with the paths of this machine.
        extras: of the distribution: `hub` for the hub's command.

    Raises:
        GuestUnavailable: as its text says.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kernel = _kernel(kernels)
    initramfs = _initramfs(folder / "initramfs", next(kernel.glob("lib/modules/*")), command)
    content = _system(folder / "system", extras)
    system = make_disk(content, folder / "system.img")
    shutil.rmtree(content)
    return Guest(next(kernel.glob("boot/vmlinuz-*")), initramfs, system)


def make_disk(content: Path, image: Path, *, size: int = 0) -> Path:
    """An ext4 image with the files of a folder; of `size` bytes, or as large as they need."""
    needed = sum(path.lstat().st_size + 4096 for path in content.rglob("*"))
    image.unlink(missing_ok=True)
    with image.open("wb") as file:
        file.truncate((size or int(needed * _SPARE)) // MIB * MIB + 16 * MIB)
    _run([*_MKFS, str(content), str(image)])
    return image


def _kernel(folder: Path) -> Path:
    """Debian's kernel for virtual machines, unpacked and not installed."""
    if not list(folder.glob("boot/vmlinuz-*")):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        depends = _run(["apt-cache", "depends", "--important", KERNEL_PACKAGE]).split()
        packages = [word for word in depends if word.startswith("linux-image-") and word != KERNEL_PACKAGE]
        if not packages:
            raise GuestUnavailable(f"apt knows no {KERNEL_PACKAGE}: run `apt-get update`, or use Debian on amd64")
        _run(["apt-get", "download", "-qq", packages[0]], folder)
        (package,) = folder.glob("*.deb")
        _run(["dpkg", "-x", str(package), str(folder)])
        package.unlink()
    return folder


def _initramfs(folder: Path, modules: Path, command: Sequence[str]) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("bin", "modules", "proc", "sys", "dev", "system"):
        (folder / name).mkdir(parents=True)
    shutil.copy(BUSYBOX, folder / "bin")
    for name in _MODULES:
        for module in modules.rglob(f"{name}.ko"):
            shutil.copy(module, folder / "modules")
    init = folder / "init"
    init.write_text(_INIT.format(modules=" ".join(_MODULES), address=GUEST_ADDRESS, command=shlex.join(command)))
    init.chmod(0o755)
    names = "\n".join(str(path.relative_to(folder)) for path in sorted(folder.rglob("*")))
    packed = subprocess.run(
        [BUSYBOX, "cpio", "-o", "-H", "newc"], input=names.encode(), cwd=folder, capture_output=True, check=True
    )
    image = folder.with_suffix(".gz")
    image.write_bytes(gzip.compress(packed.stdout, 1))
    return image


def _system(folder: Path, extras: Iterable[str]) -> Path:
    """The files that the installed commands need, each under the path that it has here."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("data", "proc", "sys", "dev", "run"):
        (folder / name).mkdir(parents=True)
    base = Path(sys.base_prefix).resolve()
    interpreter = Path(sys.executable).resolve()
    _copy(folder, interpreter)
    _copy_tree(folder, Path(sysconfig.get_path("stdlib")))
    for each in base.glob("lib/libpython*"):
        _copy(folder, each)
    _copy(folder, Path(sys.prefix) / "pyvenv.cfg")
    for link in Path(sys.prefix).glob("bin/python*"):
        _copy(folder, link)
    for part in _closure("farshore", extras).values():
        for file in part.files or ():
            found = Path(str(file.locate()))
            if found.exists():
                _copy(folder, found)
    for name in _SOURCES:
        _copy_tree(folder, ROOT / name)
    for library in _libraries(folder):
        _copy(folder, library)
    return folder


def _closure(name: str, extras: Iterable[str]) -> dict[str, Distribution]:
    """A distribution and whatever it depends on, directly or not."""
    found: dict[str, Distribution] = {}
    wanted = [(name, frozenset(extras))]
    while wanted:
        each, its_extras = wanted.pop()
        if each in found:
            continue
        found[each] = distribution(each)
        for text in found[each].requires or ():
            needs = Requirement(text)
            if needs.marker is None or any(needs.marker.evaluate({"extra": extra}) for extra in ("", *its_extras)):
                wanted.append((needs.name.lower(), frozenset(needs.extras)))
    return found


def _libraries(folder: Path) -> set[Path]:
    """The system's libraries that the programs and libraries in a folder are linked with."""
    here = [Path("/", path.relative_to(folder)) for path in folder.rglob("*.so*")]
    said = _run(["ldd", *map(str, here), str(Path(sys.executable).resolve()), str(BUSYBOX)], check=False)
    words = (word for word in said.split() if word.startswith("/") and not word.endswith(":"))
    return {Path(word) for word in words}


def _copy(folder: Path, source: Path) -> None:
    """Copy a file, or a link and what it leads to, into the same place below `folder`."""
    target = folder / source.relative_to("/")
    if target.exists() or target.is_symlink():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target, follow_symlinks=False)
    if source.is_symlink():
        _copy(folder, source.parent / source.readlink())


def _copy_tree(folder: Path, source: Path) -> None:
    shutil.copytree(source, folder / source.relative_to("/"), ignore=_NOT_NEEDED, symlinks=True, dirs_exist_ok=True)


def _run(line: Sequence[str], cwd: Path | None = None, *, check: bool = True) -> str:
    ended = subprocess.run(line, cwd=cwd, capture_output=True, text=True, check=False)
    if check and ended.returncode:
        raise GuestUnavailable(f"{line[0]} ended with {ended.returncode}: {ended.stderr.strip()}")
    return ended.stdout
