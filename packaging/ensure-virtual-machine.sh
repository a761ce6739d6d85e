#!/bin/sh
# Make sure that a virtual machine can be made and run here: `make powercut` cuts its power.
set -eu

need() {
    command -v "$1" >/dev/null || sh packaging/install-system-package.sh "$2" "cutting the power of a virtual machine"
}

# mkfs.ext4 is not on the path of ordinary users.
PATH=$PATH:/usr/sbin:/sbin
need qemu-system-x86_64 qemu-system-x86
need busybox busybox-static
need mkfs.ext4 e2fsprogs
