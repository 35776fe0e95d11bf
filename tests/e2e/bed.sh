# shellcheck shell=bash disable=SC2016,SC2046 # conditions for eval; `inside` gives several words
# The cluster: a control plane and two nodes, one, in the network namespace of this shell, and two, behind a link.
#
#   one  10.77.0.1  pods 10.78.1.0/24  also the control plane and the cluster's DNS server
#   two  10.77.0.2  pods 10.78.2.0/24
#
# Both nodes share the machine's kernel, hence its BTF and its boot id.
cgroup=/$(basename "$BED")
api=https://10.77.0.1:6443

# daemon NAME PROGRAM…: started, with its log and pid in the bed. (Of a function it would be a shell's pid.)
daemon() {
  local name=$1
  shift
  "$@" >>"$BED/log/$name.log" 2>&1 &
  echo $! >"$BED/pid/$name"
}

# stop NAME
stop() {
  local pid
  pid=$(cat "$BED/pid/$1")
  kill "$pid"
  until_true 20 "the end of $1" eval "! kill -0 $pid"
}

# As a member of the cluster, by a token that the API server was told at its start.
kubeconfig() {
  cat >"$BED/$1.kubeconfig" <<YAML
apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: "$api", certificate-authority: $BED/pki/ca.pem}}]
users: [{name: $1, user: {token: token-of-$1}}]
contexts: [{name: test, context: {cluster: test, user: $1}}]
current-context: test
YAML
}

certificates() {
  mkdir "$BED/pki"
  (
    cd "$BED/pki" || exit
    openssl ecparam -name prime256v1 -genkey -noout -out ca-key.pem
    openssl req -x509 -new -key ca-key.pem -subj '/CN=btfleet end to end' -days 2 -out ca.pem
    openssl ecparam -name prime256v1 -genkey -noout -out server-key.pem
    openssl req -new -key server-key.pem -subj '/CN=kube-apiserver' -out server.csr
    echo 'subjectAltName=IP:10.77.0.1,IP:10.96.0.1,DNS:kubernetes.default.svc' >names
    openssl x509 -req -in server.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 2 -extfile names -out server.pem
    openssl genrsa -out accounts-key.pem 2048
    openssl rsa -in accounts-key.pem -pubout -out accounts.pem
  ) 2>"$BED/log/openssl.log"
  cat >"$BED/pki/tokens.csv" <<'CSV'
token-of-admin,admin,1,system:masters
token-of-controller-manager,system:kube-controller-manager,2
token-of-scheduler,system:kube-scheduler,3
token-of-proxy,system:kube-proxy,4
token-of-one,system:node:one,5,system:nodes
token-of-two,system:node:two,6,system:nodes
CSV
  local who
  for who in admin controller-manager scheduler proxy one two; do kubeconfig $who; done
}

control_plane() {
  mkdir "$BED/log" "$BED/pid"
  ip link set lo up
  # Node two's end moves to its own namespace later.
  ip link add to-two type veth peer name to-one
  ip addr add 10.77.0.1/24 dev to-two
  ip link set to-two up
  ip route add default via 10.77.0.2
  echo 1 >/proc/sys/net/ipv4/ip_forward
  certificates
  daemon etcd etcd --data-dir "$BED/etcd" --unsafe-no-fsync --log-level warn
  local pki=$BED/pki
  daemon apiserver kube-apiserver --etcd-servers http://127.0.0.1:2379 --advertise-address 10.77.0.1 \
    --client-ca-file "$pki/ca.pem" --tls-cert-file "$pki/server.pem" --tls-private-key-file "$pki/server-key.pem" \
    --service-account-key-file "$pki/accounts.pem" --service-account-signing-key-file "$pki/accounts-key.pem" \
    --service-account-issuer https://kubernetes.default.svc.cluster.local --token-auth-file "$pki/tokens.csv" \
    --authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction --allow-privileged \
    --service-cluster-ip-range 10.96.0.0/16 --kubelet-preferred-address-types InternalIP --cert-dir "$pki"
  until_true 90 'the API server' kubectl get --raw /readyz
  daemon controller-manager kube-controller-manager --kubeconfig "$BED/controller-manager.kubeconfig" \
    --leader-elect=false --use-service-account-credentials --root-ca-file "$pki/ca.pem" \
    --service-account-private-key-file "$pki/accounts-key.pem" --bind-address 127.0.0.1 --cert-dir "$pki"
  daemon scheduler kube-scheduler --kubeconfig "$BED/scheduler.kubeconfig" --leader-elect=false \
    --bind-address 127.0.0.1 --cert-dir "$pki"
  cat >"$BED/Corefile" <<TEXT
.:53 {
  bind 10.77.0.1
  errors
  kubernetes cluster.local {
    kubeconfig $BED/admin.kubeconfig
  }
}
TEXT
  daemon coredns coredns -conf "$BED/Corefile"
  note "Kubernetes $(kubectl get --raw /version | jq -r .gitVersion)"
}

# Words before a command that put it where that node's processes live.
inside() { echo "nsenter --target $(cat "$BED/pid/$1") --mount --net --"; }

# on NODE COMMAND…
on() {
  local node=$1
  shift
  $(inside "$node") "$@"
}

two_nodes() {
  mkdir -p "$BED/one" "$BED/two"
  # Each holds its node's namespaces.
  daemon one unshare --mount --propagation private -- sleep infinity
  daemon two unshare --mount --propagation private --net -- sleep infinity
  until_true 10 "node two's namespaces" own_network two
  ip link set to-one netns "$(cat "$BED/pid/two")"
  on two ip link set lo up
  on two ip addr add 10.77.0.2/24 dev to-one
  on two ip link set to-one up
  on two ip route add default via 10.77.0.1
  on two sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
  ip route add 10.78.2.0/24 via 10.77.0.2
  node one 10.77.0.1 10.78.1.0/24
  node two 10.77.0.2 10.78.2.0/24
  until_true 90 'Ready' eval '[ "$(kubectl get nodes | grep -c " Ready ")" = 2 ]'
  run kubectl get nodes -o wide
}

own_network() { [ "$(readlink "/proc/$(cat "$BED/pid/$1")/ns/net")" != "$(readlink /proc/self/ns/net)" ]; }

node() {
  local name=$1 address=$2 pods=$3 folder=$BED/$1 image
  mkdir -p "$folder/lib" "$folder/log" "$folder/cni"
  on "$name" sh -ec "
    mount --make-rprivate /
    mount --make-rshared /
    mount --bind $folder/lib /var/lib
    mount --bind $folder/log /var/log
    mount -t tmpfs tmpfs /run"
  node_cgroup "$cgroup/$name"
  node_files "$name" "$address" "$pods" "$folder"
  daemon "containerd-$name" $(inside "$name") containerd --config "$folder/containerd.toml"
  until_true 30 "containerd on $name" on "$name" ctr version
  for image in "$BED"/images/*.tar; do
    on "$name" ctr --namespace k8s.io images import --no-unpack "$image" >>"$BED/log/images.log" 2>&1
  done
  start_kubelet "$name" "$address"
  daemon "kube-proxy-$name" $(inside "$name") kube-proxy --config "$folder/kube-proxy.yaml"
}

start_kubelet() {
  daemon "kubelet-$1" $(inside "$1") kubelet --config "$BED/$1/kubelet.yaml" --kubeconfig "$BED/$1.kubeconfig" \
    --root-dir /var/lib/kubelet --cert-dir /var/lib/kubelet/pki --hostname-override "$1" --node-ip "$2"
}

# The kubelet wants its root in every hierarchy. Two kubelets in one would remove each other's pods.
node_cgroup() {
  local controller each
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    mkdir -p "/sys/fs/cgroup$1"
    for each in /sys/fs/cgroup "/sys/fs/cgroup$cgroup" "/sys/fs/cgroup$1"; do
      sed 's/\</+/g' "$each/cgroup.controllers" >"$each/cgroup.subtree_control"
    done
    return
  fi
  for controller in /sys/fs/cgroup/*/; do
    [ ! -L "${controller%/}" ] || continue
    mkdir -p "$controller$1"
    # A new one has none, and then nothing can be put into it.
    for each in "$controller$cgroup" "$controller$1"; do
      if [ -e "$each/cpuset.cpus" ]; then
        cat "$controller/cpuset.cpus" >"$each/cpuset.cpus"
        cat "$controller/cpuset.mems" >"$each/cpuset.mems"
      fi
    done
  done
}

node_files() {
  local name=$1 address=$2 pods=$3 folder=$4 plugins
  plugins=/usr/lib/cni # Debian's
  [ -d $plugins ] || plugins=/opt/cni/bin
  cat >"$folder/containerd.toml" <<TOML
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "btfleet.test/pause:1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "$plugins"
    conf_dir = "$folder/cni"
TOML
  cat >"$folder/cni/pods.conflist" <<JSON
{"cniVersion": "0.4.0", "name": "$name", "plugins": [
  {"type": "bridge", "bridge": "pods", "isGateway": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "$pods"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
JSON
  cat >"$folder/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
cgroupDriver: cgroupfs
cgroupRoot: $cgroup/$name
failCgroupV1: false
failSwapOn: false
enforceNodeAllocatable: []
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
volumePluginDir: /var/lib/kubelet/volume-plugins
clusterDNS: [10.77.0.1]
clusterDomain: cluster.local
resolvConf: ""
# A Secret that was changed reaches its files within this.
syncFrequency: 5s
# The disk is the machine's own, and our images come from nowhere else.
evictionHard: {memory.available: 1Mi}
imageGCHighThresholdPercent: 100
YAML
  cat >"$folder/kube-proxy.yaml" <<YAML
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
hostnameOverride: $name
clientConnection: {kubeconfig: $BED/proxy.kubeconfig}
clusterCIDR: 10.78.0.0/16
conntrack: {maxPerCore: 0, min: 0}
# Answers then come back by the node, also between two pods of one bridge.
iptables: {masqueradeAll: true}
YAML
}

after_failure() {
  set +e
  local file
  run kubectl get nodes,pods,jobs -A -o wide
  kubectl get events -A --sort-by .metadata.creationTimestamp -o custom-columns=:.involvedObject.name,:.reason,:.message |
    tail -n 25 | cut -c1-250
  kubectl get pods -A -l app.kubernetes.io/name=btfleet --no-headers -o custom-columns=:.metadata.namespace,:.metadata.name |
    while read -r namespace pod; do
      run kubectl -n "$namespace" logs "$pod" --all-containers --tail 20
    done
  for file in "$BED"/log/*.log; do
    printf '\n  %s ends:\n' "$(basename "$file")"
    tail -n 12 "$file" | cut -c1-300 | sed 's/^/    /'
  done
}
