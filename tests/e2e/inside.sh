#!/usr/bin/env bash
# Within the namespaces, as their first process: the cluster, then the story.
set -euo pipefail
cd "$(dirname "$0")/../.."
mount --make-rshared /
# Sockets, locks and names of network namespaces: none of the machine's.
mount -t tmpfs tmpfs /run
export PATH="$BED/bin:$PATH" KUBECONFIG=$BED/admin.kubeconfig HOME=$BED/home
mkdir "$HOME"
# shellcheck source=tests/e2e/tell.sh
. tests/e2e/tell.sh
# shellcheck source=tests/e2e/bed.sh
. tests/e2e/bed.sh
# shellcheck source=tests/e2e/story.sh
. tests/e2e/story.sh

chapter 'A cluster of two nodes'
claim 'etcd, API server, controller manager and scheduler are up' control_plane
claim 'two nodes, each with a kubelet, containerd and kube-proxy of its own, are Ready' two_nodes
story
verdict
