"""Settings and fixtures that all tests share."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.postgres", "tests.objects"]

# No deadline and no check for slow generation: a busy machine is not a bug.
_COMMON = settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])

settings.register_profile("default", _COMMON, derandomize=False)
# In CI the same examples every time: a red build is caused by the change, and the blob repeats it anywhere.
settings.register_profile("ci", _COMMON, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")
