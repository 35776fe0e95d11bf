module btfleet.dev/examples/cilium-ebpf

go 1.26

require (
	btfleet.dev/clients/go v0.0.0
	github.com/cilium/ebpf v0.22.0
)

require golang.org/x/sys v0.43.0 // indirect

// As it lies beside this example.
replace btfleet.dev/clients/go => ../../clients/go
