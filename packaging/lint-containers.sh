#!/bin/sh
# Lint the container files and the compose files, without an engine: nothing is built or started.
# Usage: lint-containers.sh PATH-TO-HADOLINT
set -eu

command -v docker-compose >/dev/null ||
    sh packaging/install-system-package.sh docker-compose "checking the compose files against their schema"

"$1" packaging/agent/Containerfile packaging/hub/Containerfile
export FARSHORE_ADDRESS=https://hub.example.org:8443 FARSHORE_DATABASE_PASSWORD=secret FARSHORE_OBJECTS_SECRET=secret
docker-compose --file packaging/hub/compose.yaml config --quiet
docker-compose --file packaging/hub/compose.yaml --file packaging/hub/compose.postgres.yaml config --quiet
docker-compose --file packaging/hub/compose.yaml --file packaging/hub/compose.postgres.yaml \
    --file packaging/hub/compose.objects.yaml config --quiet
echo "container and compose files: nothing to complain of"
