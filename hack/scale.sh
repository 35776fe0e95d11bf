#!/usr/bin/env bash
# hack/scale.sh [NODES…]: the controller on clusters of that many Nodes (5000 and 50000). BTFLEET: the binary to
# measure; otherwise the one that ships is built.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- 5000 50000
if [ -z "${BTFLEET:-}" ]; then
  hack/dist.sh
  BTFLEET=$(hack/dist.sh --path)
fi
export BTFLEET
failed=0
for nodes; do
  # The driver need not be fast: what is measured is another process.
  SCALE_NODES=$nodes cargo bench --profile dev --bench scale || failed=1
done
exit $failed
