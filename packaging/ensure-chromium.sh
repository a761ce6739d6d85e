#!/bin/sh
# Make sure that there is a browser: the tests of the hub's page walk through it.
set -eu

command -v chromium >/dev/null && exit 0
sh packaging/install-system-package.sh chromium "testing the hub's page in a browser"
