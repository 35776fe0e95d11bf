#!/usr/bin/env bash
# hack/operator-crds.sh: prints the folder with the Prometheus operator's own definitions of its kinds, out of its Go
# module, which hack/tools/prometheus-operator pins. It is fetched once, to where Go keeps modules.
set -euo pipefail
cd "$(dirname "$0")/tools/prometheus-operator"
PATH="$PATH:/usr/local/go/bin"
module=github.com/prometheus-operator/prometheus-operator
GOTOOLCHAIN=local go mod download "$module" >&2
echo "$(GOTOOLCHAIN=local go list -m -f '{{ .Dir }}' "$module")/example/prometheus-operator-crd"
