package btfleet_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	btfleet "btfleet.dev/clients/go"
)

// With cilium/ebpf: spec, err := btf.LoadSpec(result.BTF), and then
// ebpf.CollectionOptions{Programs: ebpf.ProgramOptions{KernelTypes: spec}}.
func ExampleFetch() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	result, err := btfleet.Fetch(ctx, btfleet.Options{
		Server: "http://btfleet.btfleet",
		Node:   os.Getenv("NODE_NAME"),
		Dir:    "/run/btf",
		Header: true,
		Log:    func(line string) { log.Print(line) },
	})
	switch {
	case errors.Is(err, btfleet.ErrNoBTF):
		log.Print("no eBPF on this node: ", err)
		return
	case err != nil:
		log.Fatal(err)
	}
	fmt.Println(result.BTF, result.Header)
}
