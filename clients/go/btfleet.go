// Package btfleet gives a program that compiles, loads or checks eBPF the BTF and the vmlinux.h of the kernel that
// it runs on, or a clear no: never a stale byte, never one that was not checked.
//
// The rules are those of the command `btfleet fetch`. The truth is the running kernel's own BTF,
// /sys/kernel/btf/vmlinux. Where that cannot be read it is what the Node says, if it speaks of this very boot
// (/proc/sys/kernel/random/boot_id); the bytes then come from `btfleet serve`, and none of them is handed on before
// its SHA-256 is the one that the Node names. A release (uname -r) is no identity: see [MatchRelease].
//
// Other than `btfleet fetch` this package makes no headers: it takes them from the server, by the Node's digest.
package btfleet

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
)

// Source is where to look.
type Source int

const (
	// SourceAuto is this kernel's own BTF where it can be read; otherwise the server.
	SourceAuto Source = iota
	// SourceOwn is this kernel's own BTF alone. A header cannot be had so.
	SourceOwn
	// SourceNode is the server, by what the Node says.
	SourceNode
)

// Match is how sure it must be that a BTF is the running kernel's.
type Match int

const (
	// MatchDigest is by the digest of the BTF.
	MatchDigest Match = iota
	// MatchRelease is, of a kernel without BTF alone, also by arch and release, if exactly one kernel that the
	// server knows bears them. That is no proof, and [Result.Matched] says so. The arch is this program's own.
	MatchRelease
)

// Options say what is wanted. The zero value asks nobody: it gives this kernel's own BTF.
type Options struct {
	// Server is where `btfleet serve` is: http://HOST[:PORT][/PATH] or https://…. Empty: nobody is asked.
	Server string
	// Node is the name of the Node that this runs on, from the downward API (spec.nodeName). Without it a server
	// can only be asked by release.
	Node string
	// Dir is the folder that vmlinux.btf and vmlinux.h are put into; it is made if it is not there. A file that is
	// there already and has the right digest is not fetched again. It is for one caller at a time, and for files of
	// this package alone. Not needed where this kernel's own BTF can be read and no header is wanted.
	Dir string
	// Header is whether vmlinux.h is wanted too.
	Header bool
	// Source is where to look.
	Source Source
	// Match is how sure it must be.
	Match Match
	// Client makes the requests; nil is one that goes to Server directly, whatever proxy the environment names,
	// and trusts the system's authorities. Its redirects are not followed.
	Client *http.Client
	// Log, if not nil, is told why this kernel's own BTF is not used, and what is waited for ("waiting: …"), each
	// reason once. A line has no newline.
	Log func(line string)

	// BTF is the running kernel's BTF; empty is /sys/kernel/btf/vmlinux.
	BTF string
	// Proc is where the kernel says which boot and release this is; empty is /proc.
	Proc string
}

// Matched is why a BTF is taken for the running kernel's.
type Matched string

const (
	// MatchedKernel is the running kernel's own.
	MatchedKernel Matched = "kernel"
	// MatchedNode is what the Node names, in this boot.
	MatchedNode Matched = "node"
	// MatchedRelease bears the arch and release of this kernel, which has no BTF itself. No proof.
	MatchedRelease Matched = "release"
)

// Result is what was found. Every path in it is of a file whose digest was checked; another call of [Fetch] with
// the same folder may replace the file.
type Result struct {
	// BTF is the path of the kernel's BTF: for btf.LoadSpec and KernelTypes of cilium/ebpf, btf_custom_path of
	// libbpf, BPFTRACE_BTF of bpftrace.
	BTF string
	// Header is the path of vmlinux.h, if it was wanted.
	Header string
	// Matched is why they are taken for the running kernel's.
	Matched Matched
	// BTFDigest is the SHA-256 of the BTF: "sha256:" and 64 hexadecimal digits. It is the kernel's identity.
	BTFDigest string
	// HeaderDigest is that of the header, if it was wanted.
	HeaderDigest string
	// Generator made the header, if it was wanted.
	Generator uint32
}

// KernelID is the kernel's short name, the first 32 digits of its BTF's digest: that of its KernelHeader.
func (r *Result) KernelID() string { return r.BTFDigest[len("sha256:") : len("sha256:")+32] }

// isNode is whether a name can be a Node's: it goes into a path.
var isNode = regexp.MustCompile(`^[a-z0-9-][a-z0-9.-]{0,252}$`).MatchString

// Fetch gives the running kernel's BTF, and its header if wanted. What may still come (a server that does not
// answer, a Node whose agent has not spoken in this boot) it waits for, with pauses that grow from 0.5 s to 10 s or
// are what the server asks for, until ctx ends or the next pause would outlast ctx's deadline; without a deadline
// for as long as it takes. An [Error] says why there is nothing; errors.Is tells the kinds apart.
//
// A server that contradicts this kernel's own BTF is an error; where only the BTF is wanted, one that does not
// answer within 5 s is not.
func Fetch(ctx context.Context, options Options) (*Result, error) {
	f := &fetch{Options: options}
	if f.BTF == "" {
		f.BTF = "/sys/kernel/btf/vmlinux"
	}
	if f.Proc == "" {
		f.Proc = "/proc"
	}
	if options.Server != "" {
		server, err := newServer(options.Server, options.Client)
		if err != nil {
			return nil, fmt.Errorf("btfleet: server %q: %w", options.Server, err)
		}
		f.server = server
	}
	if f.Node != "" && !isNode(f.Node) {
		return nil, fmt.Errorf("btfleet: %q is no Node's name", f.Node)
	}
	if options.Dir != "" {
		// What is handed on is good wherever the program goes.
		dir, err := filepath.Abs(options.Dir)
		if err != nil {
			return nil, fmt.Errorf("btfleet: folder %q: %w", options.Dir, err)
		}
		f.Dir = dir
	}
	return f.run(ctx)
}
