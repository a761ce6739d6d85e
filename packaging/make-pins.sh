#!/bin/sh
# Pin the newest version of every dependency, direct or not, for all supported Python versions and platforms; and what
# the packages bring, by the hashes of its files.
# The result names packages and versions only: where they come from is the business of whoever installs them.
# Usage: make-pins.sh PYTHON
set -eu

workshop=$(mktemp -d)
trap 'rm -rf "$workshop"' EXIT
"$1" -m venv "$workshop/venv"
"$workshop/venv/bin/pip" install --quiet --disable-pip-version-check uv
"$workshop/venv/bin/uv" pip compile --quiet --universal --python-version 3.11 --all-extras \
    --no-header --no-annotate --no-emit-index-url --output-file "$workshop/constraints.txt" pyproject.toml
mv "$workshop/constraints.txt" packaging/constraints.txt
for product in agent hub; do
    extra=$(test "$product" = hub && echo --extra=hub || true)
    "$workshop/venv/bin/uv" pip compile --quiet --universal --python-version 3.11 $extra --generate-hashes \
        --no-header --no-annotate --no-emit-index-url --constraint packaging/constraints.txt \
        --output-file "$workshop/$product.txt" pyproject.toml
    mv "$workshop/$product.txt" "packaging/requirements/$product.txt"
done
