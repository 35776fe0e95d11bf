# shellcheck shell=bash disable=SC2016 # conditions are handed to eval as they are
# What somebody does with btfleet on a cluster, and what must be true after each step.
namespace=btfleet
release=btfleet
server=app.kubernetes.io/name=btfleet,app.kubernetes.io/component

story() {
  chapter 'Install'
  claim 'the image is smaller than 15 MB' small
  claim 'the program in it tells an error in words, also where a backtrace is wanted' in_words
  claim 'the cluster has a default StorageClass, and the namespace enforces Pod Security "restricted"' prepare
  claim 'helm installs with no value set' install
  claim 'both Nodes say Ready, with the digests of this very kernel, header, boot and release' nodes_say
  claim 'the store has one blob of each kind, however many nodes published it' one_of_each
  claim 'one KernelHeader stands for both nodes, Verified' one_kernel
  claim 'helm test passes' helm_test

  chapter 'Use'
  claim 'kubectl btfleet lists the nodes, gets the header, and finds nothing wrong' plugin
  claim "an operator's pod gets its kernel's header from an init container, and a BPF program compiles with it" operator
  claim 'by HTTP, the Go package with cilium/ebpf, libbpf, aya and bpftrace the same kernel is had' other_ways
  claim 'the page shows the fleet, and an object is checked against its kernel' page
  claim 'whoever has the role view sees the KernelHeaders' view

  chapter 'Upgrade, faults, reboots'
  claim 'helm upgrade with a changed value rolls the agents; what the Nodes say stays' upgrade
  claim 'a leading controller that is killed is followed by another' kill_controller
  claim 'a store that is killed comes back with what it held' kill_store
  claim 'a kubelet is restarted; its pods and its Node stay as they were' restart_kubelet
  claim 'new keys to the store reach the agents and servers that run, and the old ones end' rotate_keys
  claim 'a node that came up with another boot id is Stale until its agent has spoken' another_boot

  chapter 'A release with another generator'
  claim 'upgraded to it, both Nodes name its header, whose predecessor stays in the store' next_generator
  claim "a pod with the old release's init container gets its kernel's header as before" old_init_container
  claim 'rolled back, all is as it was, and nothing is made anew' roll_back

  chapter 'A second kernel, and a node without BTF'
  claim 'node two has another BTF: two kernels, each Node its own' other_kernel
  claim 'node two has no BTF: it says NoBTF, gets no header, and doctor says so' no_btf
  claim 'in all that, no process has taken half of the memory that it may take' within_limits

  chapter 'Uninstall, and again'
  claim 'helm uninstall leaves the CRD and, with cleanup.keepRefs, the bundled store; nothing on the Nodes' uninstall
  claim 'a second install finds its store again and uploads nothing' again
  claim 'uninstalled without cleanup.keepRefs it leaves the CRD alone' to_the_end
}

ours() { kubectl -n $namespace "$@"; }

# said NODE KEY: what a Node says.
said() { kubectl get node "$1" -o json | jq -r --arg key "btfleet.dev/$2" '.metadata.annotations[$key] // ""'; }

status_is() { [ "$(said "$1" status)" = "$2" ]; }

# pod COMPONENT [NODE]: the name of one that is not on its way out.
pod() {
  ours get pods -l "$server=$1" -o json |
    jq -r --arg node "${2:-}" '[.items[] | select(.metadata.deletionTimestamp == null)
      | select($node == "" or .spec.nodeName == $node)][0].metadata.name'
}

digest_of() { sha256sum | sed 's/\([0-9a-f]*\).*/sha256:\1/'; }

prepare() {
  # A disk of node one: what asks for storage is bound to it.
  mkdir -p "$BED/one/lib/disk"
  kubectl apply -f - <<'YAML'
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: disk, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: disk-of-one}
spec:
  storageClassName: disk
  capacity: {storage: 10Gi}
  accessModes: [ReadWriteOnce]
  local: {path: /var/lib/disk}
  nodeAffinity:
    required: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [one]}]}]}
YAML
  kubectl create namespace $namespace
  run kubectl label namespace $namespace pod-security.kubernetes.io/enforce=restricted
}

small() {
  run ls -l "$BED/images/btfleet.tar"
  [ "$(stat -c %s "$BED/images/btfleet.tar")" -lt 15000000 ]
}

# Without its unwinding tables (hack/dist.ld) it could abort instead.
in_words() {
  local status=0
  run env RUST_BACKTRACE=1 "$BTFLEET" dump /etc/os-release || status=$?
  [ "$status" = 1 ]
}

install() {
  run helm install $release charts/btfleet -n $namespace --create-namespace --wait --timeout 4m
  run kubectl -n $namespace get pods -o wide
}

nodes_say() {
  local node btf header
  btf=$(digest_of </sys/kernel/btf/vmlinux)
  header=$(kubectl-btfleet dump | digest_of)
  for node in one two; do
    until_true 90 "$node is Ready" status_is $node Ready
    run kubectl annotate --list node $node
    equal "BTF digest" "$(said $node btf-digest)" "$btf"
    equal "header digest" "$(said $node header-digest)" "$header"
    equal "boot id" "$(said $node boot-id)" "$(cat /proc/sys/kernel/random/boot_id)"
    equal "release" "$(said $node kernel-release)" "$(uname -r)"
    equal "label" "$(kubectl get node $node -o json | jq -r '.metadata.labels["btfleet.dev/kernel"]')" "${btf:7:32}"
  done
  agent_costs one
}

# What the agent's process has used, for docs/performance.md.
agent_costs() {
  local pid ticks
  pid=$(pid_of "$(pod agent "$1")")
  # Fields 14 and 15 of stat: ticks of 10 ms in user and kernel mode.
  ticks=$(awk '{ print ($14 + $15) * 10 }' "/proc/$pid/stat")
  note "agent on $1: $(awk '/RssAnon|VmHWM/ { printf "%s %.1f MiB, ", $1, $2 / 1024 }' "/proc/$pid/status")CPU $ticks ms"
}

# pid_of POD: its first container's process, as this namespace numbers it.
pid_of() {
  local node id
  read -r node id < <(ours get pod "$1" -o json |
    jq -r '"\(.spec.nodeName) \(.status.containerStatuses[0].containerID | sub("containerd://"; ""))"')
  on "$node" ctr --namespace k8s.io task list | awk -v id="$id" '$1 == id { print $2 }'
}

objects() { (cd "$BED/one/lib/disk/objects/btfleet" && find . -type f -printf '%P\n' | sort); }

one_of_each() {
  run objects
  local kind
  for kind in btf/sha256 headers/sha256 kernels index; do
    equal "objects under $kind" "$(objects | grep -c "/$kind/")" 1
  done
}

verified() {
  [ "$(kubectl get kh -o json | jq -c '[.items[] | [.status.nodes, ([.status.conditions[] | select(.status == "True").type] | sort)]] | sort')" = "$1" ]
}

one_kernel() {
  until_true 90 'one KernelHeader of two nodes, Stored and Verified' verified '[[2,["Stored","Verified"]]]'
  run kubectl get kh -o wide
}

helm_test() { run helm test $release -n $namespace --logs --timeout 2m; }

plugin() {
  run kubectl btfleet nodes
  run kubectl btfleet get node/two -o "$BED/vmlinux.h"
  equal "what came" "$(digest_of <"$BED/vmlinux.h")" "$(said two header-digest)"
  run kubectl btfleet doctor
}

operator() {
  kubectl create namespace operator
  run kubectl label namespace operator pod-security.kubernetes.io/enforce=restricted
  operator_pod probe two auto | kubectl apply -f -
  run kubectl -n operator wait pod/probe --for=condition=Ready --timeout=60s
  run kubectl -n operator logs probe -c fetch
  local volume
  volume=$(volume_of probe two)
  run ls -l "$volume/"
  equal "its header" "$(digest_of <"$volume/vmlinux.h")" "$(said two header-digest)"
  # By this machine's clang, from the pod's volume: no image with a compiler can be had here.
  run clang-16 -g -O2 -target bpf -Wall -Werror -I"$volume" -c examples/probe.bpf.c -o "$BED/probe.bpf.o"
}

# powerless COMMAND…: with no right to load anything into this machine's kernel. What a loader does up to there, it does.
powerless() { setpriv --no-new-privs --bounding-set=-all --inh-caps=-all "$@"; }

address() { ours get service $release -o jsonpath='{.spec.clusterIP}'; }

other_ways() {
  local volume server
  volume=$(volume_of probe two) server=http://$(address)
  run on one curl -fsS --compressed "$server/v1/nodes/one/vmlinux.h" -o "$BED/vmlinux.h"
  equal 'what came' "$(digest_of <"$BED/vmlinux.h")" "$(said one header-digest)"
  mkdir "$BED/go"
  ends_with 1 "kernel $(said one btf-digest | cut -c 8-39), by node" powerless env NODE_NAME=one \
    "$(command -v load-go)" -server "$server" -btf /nonexistent -dir "$BED/go" -object "$BED/probe.bpf.o"
  equal 'what the Go package left' "$(digest_of <"$BED/go/vmlinux.btf")" "$(said one btf-digest)"
  ends_with 1 'ermission denied|not permitted' powerless load-libbpf "$BED/probe.bpf.o" "$volume/vmlinux.btf"
  ends_with 1 'Error' powerless load-aya "$BED/probe.bpf.o" "$volume/vmlinux.btf"
  ends_with 0 'task_struct|exec' examples/bpftrace/exec.sh "$volume/vmlinux.btf" -d
  kubectl -n operator delete pod probe --now >/dev/null
}

page() {
  local at=/api/v1/namespaces/$namespace/services/$release:http/proxy
  until_true 10 'two nodes are Ready on the page' eval "kubectl get --raw $at/ | grep -q '<strong>2</strong> Ready'"
  run on one curl -fsS --data-binary "@$BED/probe.bpf.o" "http://$(address)/v1/check?name=probe.bpf.o" -o "$BED/check.json"
  run jq -c '.counts, .kernels[0].nodes' "$BED/check.json"
  equal 'verdict' "$(jq -r .verdict "$BED/check.json")" resolves
}

view() {
  run kubectl create clusterrolebinding viewer --clusterrole=view --user=viewer
  until_true 20 'a viewer may list them' kubectl auth can-i list kernelheaders.btfleet.dev --as=viewer
  ends_with 1 '^no$' kubectl auth can-i delete kernelheaders.btfleet.dev --as=viewer
}

image_of_agents() { ours get daemonset -l $server=agent -o jsonpath='{.items[0].spec.template.spec.containers[0].image}'; }

# operator_pod NAME NODE SOURCE [IMAGE]: as docs/pulling.md has it.
operator_pod() {
  local image=${4:-$(image_of_agents)}
  cat <<YAML
apiVersion: v1
kind: Pod
metadata: {name: $1, namespace: operator}
spec:
  nodeName: $2
  restartPolicy: Never
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 1
  securityContext: {runAsNonRoot: true, runAsUser: 10001, fsGroup: 10001, seccompProfile: {type: RuntimeDefault}}
  initContainers:
  - name: fetch
    image: $image
    command: [btfleet, fetch, --output=/btf, --server=http://$release.$namespace, --source=$3, --timeout=40]
    env: [{name: NODE_NAME, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}]
    volumeMounts: [{name: btf, mountPath: /btf}]
    securityContext: &restricted {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
  containers:
  - name: main
    image: btfleet.test/pause:1
    volumeMounts: [{name: btf, mountPath: /btf, readOnly: true}]
    securityContext: *restricted
  volumes: [{name: btf, emptyDir: {sizeLimit: 64Mi}}]
YAML
}

# volume_of POD NODE: its emptyDir, as a folder here.
volume_of() {
  echo "$BED/$2/lib/kubelet/pods/$(kubectl -n operator get pod "$1" -o jsonpath='{.metadata.uid}')/volumes/kubernetes.io~empty-dir/btf"
}

rolled_out() { run kubectl -n $namespace rollout status "$1" --timeout=120s; }

# What btfleet says on both Nodes.
our_keys() {
  kubectl get nodes -o json |
    jq -c '.items[].metadata | [.name, ((.annotations + .labels) | with_entries(select(.key | startswith("btfleet.dev/"))))]'
}

upgrade() {
  local before
  before=$(our_keys)
  run helm upgrade $release charts/btfleet -n $namespace --reuse-values --hide-notes --set log.level=debug,cleanup.keepRefs=true --wait --timeout 4m
  rolled_out "daemonset/$release-agent"
  equal 'the log level of agents' "$(ours get daemonset -l $server=agent -o json |
    jq -r '.items[0].spec.template.spec.containers[0].env[] | select(.name == "BTFLEET_LOG_LEVEL").value')" debug
  until_true 60 'all agents are ready' ours wait pods -l $server=agent --for=condition=Ready --timeout=1s
  equal 'what the Nodes say' "$(our_keys)" "$before"
}

leader() { ours get lease $release-controller -o jsonpath='{.spec.holderIdentity}'; }
other_leader() { [ -n "$(leader)" ] && [ "$(leader)" != "$1" ]; }

kill_controller() {
  local before name
  before=$(leader)
  # Identities begin with the pod's name.
  name=$(ours get pods -l $server=controller -o name | sed 's,pod/,,' | while read -r each; do
    case $before in "$each"*) echo "$each" ;; esac
  done)
  note "the leader is $before"
  run kill -9 "$(pid_of "$name")"
  until_true 40 'another leads' other_leader "$before"
  note "the leader is $(leader)"
  until_true 60 'the killed one runs again' ours wait pods -l $server=controller --for=condition=Ready --timeout=1s
  one_kernel
}

restarted() { [ "$(ours get pod "$1" -o jsonpath='{.status.containerStatuses[0].restartCount}')" -gt 0 ]; }

kill_store() {
  local before name
  before=$(objects)
  name=$(pod store)
  run kill -9 "$(pid_of "$name")"
  until_true 60 'the store runs again' restarted "$name"
  until_true 60 'the store is ready' ours wait "pod/$name" --for=condition=Ready --timeout=1s
  equal 'what it holds' "$(objects)" "$before"
  run ours rollout restart "deployment/$release-server"
  rolled_out "deployment/$release-server"
  note 'the servers are new and have nothing in memory: what they send comes from the store'
  until_true 30 'a header again' kubectl btfleet get node/one -o "$BED/vmlinux.h"
  equal 'what came' "$(digest_of <"$BED/vmlinux.h")" "$(said one header-digest)"
}

keys_of() { ours get secret "$release-store-$1" -o jsonpath='{.data.credentials}' | base64 -d; }

# s3 FILE METHOD KEY: the status that the store answers to who has the keys in this file.
s3() {
  local user
  user=$(sed -n 's/^aws_[a-z_]* = //p' "$1" | paste -sd:)
  on one curl -sS -o "$BED/answer" -w '%{http_code}' -X "$2" --user "$user" \
    --aws-sigv4 aws:amz:us-east-1:s3 --header 'x-amz-content-sha256: UNSIGNED-PAYLOAD' \
    "http://$(ours get service $release-store -o jsonpath='{.spec.clusterIP}'):7070/btfleet/fleet/$3"
}
s3_answers() { [ "$(s3 "$2" "$3" "$4")" = "$1" ]; }

# Pods of agents and servers, their containers, and how often these were restarted.
lives() {
  ours get pods -l "app.kubernetes.io/name=btfleet,app.kubernetes.io/component in (agent,server)" -o json |
    jq -c '.items[] | [.metadata.name, .metadata.uid, (.status.containerStatuses[] | .containerID, .restartCount)]'
}

# Each asks the store anew, since nobody asked this before.
servers_list() {
  local address
  for address in $(ours get pods -l $server=server -o jsonpath='{.items[*].status.podIP}'); do
    on one curl -fsS "http://$address:8080/v1/kernels?arch=amd64&release=none-$RANDOM$RANDOM" || return
  done
}

rotate_keys() {
  local before part header
  header=headers/sha256/$(said one header-digest | cut -c 8-).h.zst
  # So that an agent asks the store within the time of this story.
  run helm upgrade $release charts/btfleet -n $namespace --reuse-values --hide-notes --set agent.resyncEvery=10 --wait --timeout 4m
  rolled_out "daemonset/$release-agent"
  before=$(lives)
  equal 'restarts' "$(lives | jq -s 'map(.[3]) | add')" 0
  for part in agent server controller; do keys_of $part >"$BED/$part.old"; done
  equal "the agent's keys" "$(s3 "$BED/agent.old" GET "$header")" 200
  note 'as docs/install.md says it: remove the Secrets, set up again'
  run kubectl -n $namespace delete secret $release-store-agent $release-store-server
  run helm upgrade $release charts/btfleet -n $namespace --reuse-values --hide-notes --set store.bundled.setup=rotated \
    --wait --wait-for-jobs --timeout 4m
  for part in agent server; do
    keys_of $part >"$BED/$part.new"
    equal "the $part's old keys" "$(s3 "$BED/$part.old" GET "$header")" 403
    equal "the $part's new keys" "$(s3 "$BED/$part.new" GET "$header")" 200
  done
  note "a header is removed (with the controller's keys): who puts it back is an agent, with its new ones"
  equal 'removal' "$(s3 "$BED/controller.old" DELETE "$header")" 204
  until_true 100 'the header is there again' s3_answers 200 "$BED/agent.new" GET "$header"
  until_true 100 'both servers list the store' servers_list
  equal 'pods, containers, restarts' "$(lives)" "$before"
  run kubectl -n $namespace get pods -l "app.kubernetes.io/component in (agent,server)"
}

containers_of() {
  kubectl get pods -A --field-selector "spec.nodeName=$1" -o json |
    jq -c '[.items[] | select(.status.phase == "Running") | [.metadata.name, .status.containerStatuses[].containerID]] | sort'
}

node_says_ready() { kubectl get node "$1" | grep -q ' Ready '; }
renewed() { kubectl -n kube-node-lease get lease "$1" -o jsonpath='{.spec.renewTime}'; }
beats_after() { [[ "$(renewed "$1")" > "$2" ]] && node_says_ready "$1"; }

restart_kubelet() {
  local pods keys since
  pods=$(containers_of one) keys=$(our_keys)
  stop kubelet-one
  since=$(date -u +%Y-%m-%dT%H:%M:%S.%6NZ)
  start_kubelet one 10.77.0.1
  until_true 60 'the kubelet has spoken' beats_after one "$since"
  equal 'pods and containers of node one' "$(containers_of one)" "$pods"
  equal 'what the Nodes say' "$(our_keys)" "$keys"
}

boot_id_is() { [ "$(kubectl get node "$1" -o jsonpath='{.status.nodeInfo.bootID}')" = "$2" ]; }

another_boot() {
  local real=/proc/sys/kernel/random/boot_id boot=0b0e2a9c-1111-4222-8333-444455556666
  # A machine cannot be booted here, but a kubelet can be told of another boot.
  echo $boot >"$BED/two/boot_id"
  stop kubelet-two
  on two mount --bind "$BED/two/boot_id" $real
  start_kubelet two 10.77.0.2
  until_true 60 'the kubelet reports another boot' boot_id_is two $boot
  until_true 15 'Stale' eval "kubectl btfleet nodes | grep -qE '^two .*Stale'"
  run kubectl btfleet nodes
  ends_with 1 'two is Stale' kubectl btfleet get node/two -o "$BED/stale.h"
  equal 'the answer to HTTP' "$(kubectl get --raw "/api/v1/namespaces/$namespace/services/$release:http/proxy/v1/nodes/two/vmlinux.h" 2>&1 |
    grep -c ServiceUnavailable)" 1
  stop kubelet-two
  on two umount $real
  start_kubelet two 10.77.0.2
  until_true 60 'the kubelet reports the boot that the agent knows' boot_id_is two "$(cat $real)"
  run kubectl btfleet nodes
  until_true 15 'a header again' kubectl btfleet get node/two -o "$BED/vmlinux.h"
}

# headers_are JSON: generator and digest of each header that the one KernelHeader names.
headers_are() { [ "$(kubectl get kh -o json | jq -c '[.items[].status.headers[] | [.generator, .digest]] | sort')" = "$1" ]; }
both_say() { [ "$(said one "$1")" = "$2" ] && [ "$(said two "$1")" = "$2" ]; }

next_generator() {
  local old new hex each
  our_keys >"$BED/before-next"
  image_of_agents >"$BED/old-image"
  old=$(kubectl-btfleet dump | digest_of) new=$(next dump | digest_of)
  note "the header of this kernel by generator 1: $old; by the next release's generator 2: $new"
  [ "$old" != "$new" ]
  run helm upgrade $release charts/btfleet -n $namespace --reuse-values --hide-notes --set image.tag=next --wait --timeout 4m
  rolled_out "daemonset/$release-agent"
  until_true 90 'both Nodes are of generator 2' both_say generator 2
  run kubectl annotate --list node two
  until_true 5 'the Nodes name its header' both_say header-digest "$new"
  until_true 90 'both headers are in the KernelHeader' headers_are "[[1,\"$old\"],[2,\"$new\"]]"
  one_kernel
  hex=$(digest_of </sys/kernel/btf/vmlinux | cut -c 8-)
  run objects
  equal 'manifests' "$(objects | grep '/kernels/' | tr '\n' ' ')" "fleet/kernels/sha256/$hex/v1.json fleet/kernels/sha256/$hex/v2.json "
  equal 'headers' "$(objects | grep '/headers/' | sort)" "$(printf 'fleet/headers/sha256/%s.h.zst\n' "${old#*:}" "${new#*:}" | sort)"
  equal 'BTF' "$(objects | grep -c '/btf/')" 1
  for each in kubectl-btfleet next; do
    run "$each" get node/two -o "$BED/vmlinux.h"
    equal "what node/two is to $each" "$(digest_of <"$BED/vmlinux.h")" "$new"
  done
  run kubectl btfleet get node/two --generator 1 -o "$BED/vmlinux.h"
  equal 'what came' "$(digest_of <"$BED/vmlinux.h")" "$old"
}

old_init_container() {
  local old
  old=$(cat "$BED/old-image")
  note 'one that sees its own BTF makes its header of it, by its own generator; no word of its Node contradicts that'
  operator_pod own two auto "$old" | kubectl apply -f -
  note 'one that is to ask gets what its Node names, by the new generator'
  operator_pod asks two node "$old" | kubectl apply -f -
  run kubectl -n operator wait pod/own pod/asks --for=condition=Ready --timeout=60s
  run kubectl -n operator logs own -c fetch
  run kubectl -n operator logs asks -c fetch
  equal 'its own' "$(digest_of <"$(volume_of own two)/vmlinux.h")" "$(kubectl-btfleet dump | digest_of)"
  equal "its Node's" "$(digest_of <"$(volume_of asks two)/vmlinux.h")" "$(said two header-digest)"
  kubectl -n operator delete pod own asks --now >/dev/null
}

roll_back() {
  local before
  before=$(objects)
  run helm rollback $release -n $namespace --wait --timeout 4m
  rolled_out "daemonset/$release-agent"
  until_true 90 'both Nodes are of generator 1' both_say generator 1
  equal 'what the Nodes say' "$(our_keys)" "$(cat "$BED/before-next")"
  one_kernel
  equal 'what the store holds' "$(objects)" "$before"
  run kubectl btfleet get node/two -o "$BED/vmlinux.h"
  equal 'what came' "$(digest_of <"$BED/vmlinux.h")" "$(kubectl-btfleet dump | digest_of)"
}

other_kernel() {
  mkdir -p "$BED/one/lib/btf" "$BED/two/lib/btf"
  cp /sys/kernel/btf/vmlinux "$BED/one/lib/btf/vmlinux"
  cp "$BED/other.btf" "$BED/two/lib/btf/vmlinux"
  chmod -R a+rX "$BED/one/lib/btf" "$BED/two/lib/btf"
  # The same folder's name means another folder on each node.
  kubectl apply -f - <<YAML
apiVersion: v1
kind: PersistentVolume
metadata: {name: btf-of-the-node}
spec:
  storageClassName: none
  capacity: {storage: 1Gi}
  accessModes: [ReadOnlyMany]
  hostPath: {path: /var/lib/btf, type: Directory}
  claimRef: {namespace: $namespace, name: btf-of-the-node}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: btf-of-the-node, namespace: $namespace}
spec:
  storageClassName: none
  accessModes: [ReadOnlyMany]
  resources: {requests: {storage: 1Gi}}
YAML
  cat >"$BED/values.yaml" <<'YAML'
agent:
  extraEnv: [{name: BTFLEET_BTF, value: /btf/vmlinux}]
  extraVolumes: [{name: btf, persistentVolumeClaim: {claimName: btf-of-the-node, readOnly: true}}]
  extraVolumeMounts: [{name: btf, mountPath: /btf, readOnly: true}]
YAML
  run helm upgrade $release charts/btfleet -n $namespace --reuse-values --hide-notes -f "$BED/values.yaml" --wait --timeout 4m
  rolled_out "daemonset/$release-agent"
  local other
  other=$(digest_of <"$BED/other.btf")
  until_true 90 'node two says the other kernel' eval '[ "$(said two btf-digest)" = '"$other"' ]'
  equal 'node one' "$(said one btf-digest)" "$(digest_of </sys/kernel/btf/vmlinux)"
  until_true 90 'two KernelHeaders of a node each, Stored and Verified' verified '[[1,["Stored","Verified"]],[1,["Stored","Verified"]]]'
  run kubectl btfleet kernels
  run kubectl btfleet get node/two -o "$BED/vmlinux.h"
  equal 'its header' "$(digest_of <"$BED/vmlinux.h")" "$(kubectl-btfleet dump "$BED/other.btf" | digest_of)"
  ends_with 1 'struct task_struct' kubectl btfleet diff node/one node/two --type task_struct
  note 'a pod on node two sees a kernel that its Node denies: it gets nothing'
  operator_pod contradiction two auto | kubectl apply -f -
  until_true 60 'exit code 7' eval '[ "$(kubectl -n operator get pod contradiction -o jsonpath="{.status.initContainerStatuses[0].state.terminated.exitCode}")" = 7 ]'
  run kubectl -n operator logs contradiction -c fetch
  kubectl -n operator delete pod contradiction --now >/dev/null
}

no_btf() {
  rm "$BED/two/lib/btf/vmlinux"
  run kubectl -n $namespace delete pod "$(pod agent two)" --now
  until_true 90 'NoBTF' status_is two NoBTF
  run kubectl btfleet nodes
  ends_with 1 'NoBTF|without BTF' kubectl btfleet get node/two -o "$BED/none.h"
  [ ! -e "$BED/none.h" ]
  ends_with 1 'NoBTF|without BTF' kubectl btfleet doctor two
  until_true 30 'its kernel is used by nobody' eval "kubectl get kh -o json | jq -e '[.items[].status.nodes] | sort == [0, 1]'"
}

# Peaks are of the processes that run now. docs/install.md has the store's from here.
within_limits() {
  local name limit peak seen=0
  while read -r name limit; do
    peak=$(awk '/VmHWM/ { print int($2 / 1024) }' "/proc/$(pid_of "$name")/status")
    note "$name: $peak of $limit MiB"
    [ "$((peak * 2))" -lt "$limit" ]
    seen=$((seen + 1))
  done < <(ours get pods --field-selector status.phase=Running -o json |
    jq -r '.items[] | "\(.metadata.name) \(.spec.containers[0].resources.limits.memory | rtrimstr("Mi"))"')
  equal 'how many' $seen 7
}

# All that a release could leave: in its namespace, and in the cluster by its name.
left() {
  ours get all,secrets,configmaps,pvc,serviceaccounts,roles,rolebindings,leases,networkpolicies,poddisruptionbudgets -o name 2>/dev/null |
    grep -vE '^(configmap/kube-root-ca.crt|serviceaccount/default)$' || true
  kubectl get clusterroles,clusterrolebindings,validatingadmissionpolicies,validatingadmissionpolicybindings,crd -o name |
    grep -i btfleet || true
  kubectl get roles,rolebindings -n default -o name | grep -i btfleet || true
}

# helm does not wait for the pods that its Deployments leave behind.
remove() {
  run helm uninstall $release -n $namespace --wait --timeout 4m
  until_true 60 'all pods are gone' eval '[ -z "$(kubectl -n '$namespace' get pods -o name)" ]'
}

uninstall() {
  remove
  ours delete pvc btf-of-the-node >/dev/null # ours, not the chart's
  note 'what is left:'
  run left
  equal 'what is left' "$(left | sort | tr '\n' ' ')" "customresourcedefinition.apiextensions.k8s.io/kernelheaders.btfleet.dev \
persistentvolumeclaim/$release-store secret/$release-store-agent secret/$release-store-controller \
secret/$release-store-root secret/$release-store-server "
  equal 'keys on Nodes' "$(our_keys | grep -c 'btfleet.dev/' || true)" 0
  equal 'references in the store' "$(objects | grep -c '/refs/')" 2
}

again() {
  local before
  before=$(objects)
  run helm install $release charts/btfleet -n $namespace --hide-notes --wait --timeout 4m
  until_true 90 'Ready' eval 'status_is one Ready && status_is two Ready'
  equal 'what the store holds' "$(objects)" "$before"
  until_true 90 'KernelHeaders are right again' verified '[[0,["Stored","Verified"]],[2,["Stored","Verified"]]]'
  run kubectl get kh
}

# Without cleanup.keepRefs, the default, the store goes too.
to_the_end() {
  remove
  until_true 60 'the claim is gone' eval '[ -z "$(kubectl -n '$namespace' get pvc -o name)" ]'
  equal 'what is left' "$(left)" customresourcedefinition.apiextensions.k8s.io/kernelheaders.btfleet.dev
  equal 'keys on Nodes' "$(our_keys | grep -c 'btfleet.dev/' || true)" 0
}
