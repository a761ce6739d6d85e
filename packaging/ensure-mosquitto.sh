#!/bin/sh
# Make sure that Mosquitto is there: the tests let the hub tell a real MQTT broker, one of their own.
set -eu

PATH=$PATH:/usr/sbin
command -v mosquitto >/dev/null || sh packaging/install-system-package.sh mosquitto "testing alerts over MQTT"
