#!/usr/bin/env bash
# hack/manifests.sh: prints the default install as plain manifests, for `kubectl apply -f`: manifests/install.yaml is its
# output. Without helm there is no pre-delete hook: see docs/install.md for the end of an installation.
set -euo pipefail
cd "$(dirname "$0")/.."
helm=${HELM:-$(hack/gotools.sh helm)}
cat <<'YAML'
# The default install without helm: kubectl apply --server-side -f manifests/install.yaml
# Made by hack/manifests.sh from charts/btfleet; a test compares them.
apiVersion: v1
kind: Namespace
metadata:
  name: btfleet
  labels:
    app.kubernetes.io/name: btfleet
    pod-security.kubernetes.io/enforce: restricted
YAML
rendered=$("$helm" template btfleet charts/btfleet --namespace btfleet --no-hooks)
# It is not helm's, then.
sed -e '/^ *$/d' -e '/^ *app.kubernetes.io\/managed-by: Helm$/d' -e '/^ *helm.sh\/chart: /d' -e '/^# Source: /d' <<<"$rendered"
