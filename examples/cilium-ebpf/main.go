// Command load loads and attaches the programs of an eBPF object with cilium/ebpf, for the kernel that btfleet says
// runs here, until it is ended.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	btfleet "btfleet.dev/clients/go"
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
)

func main() {
	object := flag.String("object", "probe.bpf.o", "the eBPF object")
	server := flag.String("server", "http://btfleet.btfleet", "where btfleet serve is")
	source := flag.String("btf", "/sys/kernel/btf/vmlinux", "this kernel's own BTF")
	dir := flag.String("dir", "/run/btf", "where to put what is fetched")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *object, btfleet.Options{
		Server: *server,
		Node:   os.Getenv("NODE_NAME"),
		Dir:    *dir,
		BTF:    *source,
		Log:    func(line string) { log.Print(line) },
	}); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, object string, options btfleet.Options) error {
	soon, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	found, err := btfleet.Fetch(soon, options)
	if err != nil {
		return err
	}
	log.Printf("kernel %s, by %s", found.KernelID(), found.Matched)
	types, err := btf.LoadSpec(found.BTF)
	if err != nil {
		return fmt.Errorf("types of the kernel: %w", err)
	}
	spec, err := ebpf.LoadCollectionSpec(object)
	if err != nil {
		return err
	}
	collection, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{
		Programs: ebpf.ProgramOptions{KernelTypes: types},
	})
	if err != nil {
		return err
	}
	defer collection.Close()
	exec, err := link.AttachRawTracepoint(link.RawTracepointOptions{
		Name: "sched_process_exec", Program: collection.Programs["on_exec"],
	})
	if err != nil {
		return err
	}
	defer exec.Close()
	log.Print("attached: see /sys/kernel/tracing/trace_pipe")
	<-ctx.Done()
	return nil
}
