#!/bin/sh
# Install a Debian package when we may (as root, or through sudo without a password); otherwise say what is missing.
# Usage: install-system-package.sh PACKAGE "what it is needed for"
set -eu

package=$1
purpose=$2

give_up() {
    echo "error: $purpose needs the Debian package '$package', and $1." >&2
    echo "Install it yourself (apt-get install $package), then run make again." >&2
    exit 1
}

command -v apt-get >/dev/null || give_up "this system has no apt-get"
if [ "$(id -u)" -eq 0 ]; then
    as_root=
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root="sudo -n"
else
    give_up "installing it takes root or a sudo that asks for no password"
fi

echo "installing the Debian package '$package': $purpose needs it"
# The package lists of a fresh machine may be empty or old; a mirror that does not answer is not yet a reason to stop.
$as_root apt-get update -qq || true
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" ||
    give_up "apt-get could not install it"
