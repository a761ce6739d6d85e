"""Becomes the broker, and dies with the hub: `python -m farshore_hub.broker.child HUB_PID PROGRAM ARGUMENT…`.

Without this a hub that was killed would leave a broker behind that nobody asks who may connect.
"""

from __future__ import annotations

import os
import sys

from farshore_hub.work.processes import die_with

if __name__ == "__main__":
    die_with(int(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - the program that the hub has chosen
