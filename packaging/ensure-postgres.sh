#!/bin/sh
# Make sure that PostgreSQL's server programs are there: the tests start a private cluster of their own.
set -eu

for initdb in /usr/lib/postgresql/*/bin/initdb; do
    [ -x "$initdb" ] && exit 0
done
command -v initdb >/dev/null && exit 0
sh packaging/install-system-package.sh postgresql "testing the hub's PostgreSQL store"
