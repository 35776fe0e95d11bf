// No tool: its module holds the definitions of ServiceMonitor and PrometheusRule. See hack/operator-crds.sh.
module btfleet.dev/tools/prometheus-operator

go 1.26.0

require github.com/prometheus-operator/prometheus-operator v0.85.0
