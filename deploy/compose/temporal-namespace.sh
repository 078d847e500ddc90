#!/bin/sh
# Makes the hub's namespace, where it is not there yet. `hub apply` adds the search attributes.
set -eu
temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1 ||
  temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention 30d
