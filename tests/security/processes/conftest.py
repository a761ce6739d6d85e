"""Hubs and sites as processes, as in the acceptance tests."""

from __future__ import annotations

from tests.acceptance.conftest import folder, hub, own_hub, proxied, session_folder, sites

__all__ = ["folder", "hub", "own_hub", "proxied", "session_folder", "sites"]
