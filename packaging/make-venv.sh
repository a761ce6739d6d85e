#!/bin/sh
# Make the virtual environment with everything that the tests need, at the pinned versions.
# Usage: make-venv.sh DIRECTORY PYTHON
set -eu

directory=$1
python=$2

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "error: Farshore needs Python 3.11 or newer and '$python' is not; name another one: make PYTHON=python3.12 venv" >&2
    exit 1
}

# Debian ships the venv module without ensurepip, which is in a package of its own.
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    sh packaging/install-system-package.sh python3-venv "making a virtual environment"
fi

"$directory/bin/python" -m pip --version >/dev/null 2>&1 || "$python" -m venv --clear "$directory"
"$directory/bin/python" -m pip install --quiet --disable-pip-version-check \
    --constraint packaging/constraints.txt --editable '.[hub,dev]'
