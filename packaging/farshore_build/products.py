"""What is packaged: the agent and the hub."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGING: Final = ROOT / "packaging"

ARCHITECTURES: Final = {"amd64": "x86_64", "arm64": "aarch64"}
"""Debian's name and everybody else's."""

_ALWAYS_DROPPED: Final = (
    "*.dist-info/INSTALLER",
    "*.dist-info/RECORD",
    "*.dist-info/REQUESTED",
    "*.dist-info/direct_url.json",
    "*.dist-info/uv_*",
    "apsw/sqlite_extra_binaries",
    "farshore_demo",
    "zstandard/_cffi.*",
)
"""Of what the wheels bring: what an installer writes for itself, and large parts that nothing of ours loads."""


@dataclass(frozen=True, kw_only=True)
class Product:
    """One package.

    Attributes:
        name: of the package, its command, its user, its service and its folders.
        side: its folder here and its file of requirements.
        command: module with the click group `root` of its command.
        entry: what its command calls.
        pythons: which versions of the system's Python it runs with.
        programs: of the packages that it brings; our own start them.
        dropped: patterns of what is left out of the environment.
        packed: how the package is compressed: small where links are slow, quick where it is large.
        summary, description: for people who look into a package.
    """

    name: str
    side: str
    command: str
    entry: str
    pythons: tuple[str, ...]
    programs: tuple[str, ...] = ()
    dropped: tuple[str, ...]
    packed: str
    summary: str
    description: str

    @property
    def folder(self) -> Path:
        """Its files here."""
        return PACKAGING / self.side

    @property
    def requirements(self) -> Path:
        """What it brings, by version and hash."""
        return PACKAGING / "requirements" / f"{self.side}.txt"

    @property
    def home(self) -> str:
        """Where it is installed, without the leading slash."""
        return f"usr/lib/{self.name}"


AGENT: Final = Product(
    name="farshore-agent",
    side="agent",
    command="farshore_agent.cli",
    entry="farshore_agent.cli:main",
    pythons=("3.11", "3.12", "3.13"),
    dropped=(*_ALWAYS_DROPPED, "farshore_hub"),
    packed="xz",
    summary="keeps the records of a site safe and delivers them to its hub",
    description="It collects records, keeps them on disk, seals them into small encrypted batches and forwards\n"
    "them when there is a link. What it has acknowledged is never lost and never stored twice.",
)
HUB: Final = Product(
    name="farshore-hub",
    side="hub",
    command="farshore_hub.cli.root",
    entry="farshore_hub.cli:main",
    # NumPy has no release for all of them, and Arrow once is large enough: one version of Python a package.
    pythons=("3.11",),
    programs=("nats-server",),
    dropped=(*_ALWAYS_DROPPED, "farshore_agent", "pyarrow/include", "pyarrow/tests", "numpy/**/tests"),
    packed="zstd",
    summary="receives, accounts for and keeps the records of all sites",
    description="It stores each record of each site exactly once, in Delta tables that can be queried with SQL, and\n"
    "keeps a ledger that says what is stored, what is still at the edge, and what is missing.",
)
PRODUCTS: Final = {product.side: product for product in (AGENT, HUB)}
