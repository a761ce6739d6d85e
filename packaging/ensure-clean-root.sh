#!/bin/sh
# Make sure that a clean system can be made and booted here: `make test-packages` installs the packages in it.
set -eu

need() {
    command -v "$1" >/dev/null || sh packaging/install-system-package.sh "$2" "testing packages in a clean system"
}

PATH=$PATH:/usr/sbin:/sbin
need debootstrap debootstrap
need systemd-nspawn systemd-container
