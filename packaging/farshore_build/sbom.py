"""What is in a product, as a CycloneDX 1.6 bill of materials, from the metadata of what was really put in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

from farshore_build.products import Product
from farshore_build.stamp import Stamp


def write_sbom(product: Product, site_packages: Path, stamp: Stamp) -> bytes:
    """The document: a component for each distribution, and which needs which."""
    found = sorted(_distributions(site_packages), key=lambda each: str(each["Name"]).lower())
    refs = {_normal(each["Name"]): _purl(each) for each in found}
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": f"{stamp.date}T00:00:00Z",
            "component": {
                "type": "application",
                "bom-ref": product.name,
                "name": product.name,
                "version": stamp.version,
                "licenses": [{"expression": "Apache-2.0"}],
            },
        },
        "components": [_component(each) for each in found],
        "dependencies": [
            {"ref": product.name, "dependsOn": [refs["farshore"]]},
            *({"ref": _purl(each), "dependsOn": sorted(_needs(each, refs))} for each in found),
        ],
    }
    return json.dumps(document, indent=1).encode() + b"\n"


def _distributions(site_packages: Path) -> Iterator[Message]:
    for each in site_packages.glob("*.dist-info/METADATA"):
        yield HeaderParser().parsestr(each.read_text())


def _component(metadata: Message) -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": _purl(metadata),
        "name": metadata["Name"],
        "version": metadata["Version"],
        "purl": _purl(metadata),
    }
    if expression := metadata["License-Expression"]:
        component["licenses"] = [{"expression": expression}]
    elif name := _licence_name(metadata):
        component["licenses"] = [{"license": {"name": name}}]
    return component


def _licence_name(metadata: Message) -> str:
    """The last part of the classifier, or the first line of the free text."""
    classified = [each for each in metadata.get_all("Classifier", []) if each.startswith("License ::")]
    free = str(metadata["License"] or "").strip().splitlines()
    return classified[0].rpartition(" :: ")[2] if classified else free[0] if free else ""


def _needs(metadata: Message, refs: dict[str, str]) -> set[str]:
    names = (_normal(re.split(r"[^\w.-]", line, maxsplit=1)[0]) for line in metadata.get_all("Requires-Dist", []))
    return {refs[name] for name in names if name in refs}


def _purl(metadata: Message) -> str:
    return f"pkg:pypi/{_normal(metadata['Name'])}@{metadata['Version']}"


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
