"""`python -m farshore_hub.lake.worker FD`: the zygote."""

from __future__ import annotations

from farshore_hub.lake.worker.zygote import main

main()
