#!/bin/sh
# Make sure that systemd's judge of services is there: the tests hold our units against it.
set -eu

command -v systemd-analyze >/dev/null || sh packaging/install-system-package.sh systemd "judging how confined the services are"
