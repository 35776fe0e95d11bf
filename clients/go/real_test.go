package btfleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// real is what `make test` starts: a cluster, a store, `btfleet serve`. The host is that of the node go-ready.
type real struct {
	binary, server, host string
}

func newReal(t *testing.T) real {
	t.Helper()
	variable := func(name string) string {
		value := os.Getenv(name)
		if value == "" {
			t.Fatalf("%s is not set: run this by `make test`, which starts the servers (tests/it/clients.rs)", name)
		}
		return value
	}
	return real{variable("BTFLEET"), variable("BTFLEET_TEST_SERVER"), variable("BTFLEET_TEST_HOST")}
}

// proc is /proc of a host that has this boot and release; empty is the host's own.
func (r real) proc(t *testing.T, boot, release string) string {
	t.Helper()
	dir := t.TempDir()
	for file, text := range map[string]string{"sys/kernel/random/boot_id": boot, "sys/kernel/osrelease": release} {
		if text == "" {
			own, err := os.ReadFile(filepath.Join(r.host, "proc", file))
			if err != nil {
				t.Fatal(err)
			}
			text = string(own)
		}
		path := filepath.Join(dir, file)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// fetched is what `btfleet fetch` gave: its exit code, what it said, and its manifest.json.
type fetched struct {
	code     int
	said     string
	Matched  Matched `json:"matched"`
	BTF      string  `json:"btfDigest"`
	Header   string  `json:"headerDigest"`
	Revision uint32  `json:"generator"`
}

func (r real) fetch(t *testing.T, o Options) fetched {
	t.Helper()
	dir := t.TempDir()
	args := []string{
		"fetch", "--output", dir, "--timeout", "0", "--btf", o.BTF, "--proc", o.Proc,
		"--source", []string{"auto", "own", "node"}[o.Source], "--match", []string{"digest", "release"}[o.Match],
	}
	if o.Server != "" {
		args = append(args, "--server", o.Server)
	}
	if o.Node != "" {
		args = append(args, "--node-name", o.Node)
	}
	command := exec.Command(r.binary, args...)
	command.Env = []string{"HOME=" + dir}
	said, err := command.CombinedOutput()
	if _, is := errors.AsType[*exec.ExitError](err); err != nil && !is {
		t.Fatal(err)
	}
	result := fetched{code: command.ProcessState.ExitCode(), said: string(said)}
	manifest, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err == nil {
		err = json.Unmarshal(manifest, &result)
	}
	if there := err == nil; there != (result.code == 0 || result.code == 3) {
		t.Fatalf("exit code %d, and %v: %s", result.code, err, said)
	}
	return result
}

// The same question, put to this package and to the command, has the same answer.
func TestItDoesAsBtfleetFetchDoes(t *testing.T) {
	r := newReal(t)
	kinds := map[int]error{1: ErrNobody, 4: ErrNoBTF, 5: ErrNotReady, 6: ErrUnreachable, 7: ErrMismatch}
	own, absent, unseen := filepath.Join(r.host, "vmlinux"), filepath.Join(r.host, "absent"), r.host
	other := filepath.Join(t.TempDir(), "vmlinux")
	if blob, err := os.ReadFile(own); err != nil {
		t.Fatal(err)
	} else if err = os.WriteFile(other, otherKernel(blob), 0o644); err != nil {
		t.Fatal(err)
	}
	nowhere := "http://127.0.0.1:1"
	for name, c := range map[string]struct {
		options       Options
		boot, release string
		code          int
	}{
		"its own":                     {options: Options{BTF: own, Server: r.server, Node: "go-ready"}},
		"its own, asked of the Node":  {options: Options{BTF: own, Server: r.server, Node: "go-ready", Source: SourceNode}},
		"its own, not seen":           {options: Options{BTF: unseen, Server: r.server, Node: "go-ready"}},
		"its own, not there":          {options: Options{BTF: absent, Server: r.server, Node: "go-ready"}},
		"another than the Node's":     {options: Options{BTF: other, Server: r.server, Node: "go-ready"}, code: 7},
		"of a Node without BTF":       {options: Options{BTF: own, Server: r.server, Node: "go-no-btf"}, code: 7},
		"this boot is another":        {options: Options{BTF: unseen, Server: r.server, Node: "go-ready"}, boot: another + "\n", code: 5},
		"no boot id":                  {options: Options{BTF: unseen, Server: r.server, Node: "go-ready"}, boot: "?", code: 5},
		"stale":                       {options: Options{BTF: unseen, Server: r.server, Node: "go-stale"}, code: 5},
		"not reported":                {options: Options{BTF: unseen, Server: r.server, Node: "go-silent"}, code: 5},
		"unknown":                     {options: Options{BTF: unseen, Server: r.server, Node: "go-unknown"}, code: 5},
		"an agent that failed":        {options: Options{BTF: unseen, Server: r.server, Node: "go-error"}, code: 5},
		"no BTF":                      {options: Options{BTF: absent, Server: r.server, Node: "go-no-btf"}, code: 4},
		"no BTF, by release":          {options: Options{BTF: absent, Server: r.server, Node: "go-no-btf", Match: MatchRelease}, release: "go-one\n", code: 3},
		"no BTF, no Node":             {options: Options{BTF: absent, Server: r.server, Match: MatchRelease}, release: "go-one\n", code: 3},
		"no BTF, two of its release":  {options: Options{BTF: absent, Server: r.server, Node: "go-no-btf", Match: MatchRelease}, release: "go-two\n", code: 4},
		"no BTF, none of its release": {options: Options{BTF: absent, Server: r.server, Node: "go-no-btf", Match: MatchRelease}, release: "go-none\n", code: 4},
		"no BTF, and a Node that has": {options: Options{BTF: absent, Server: r.server, Node: "go-ready", Match: MatchRelease}, release: "go-two\n"},
		"nobody to ask":               {options: Options{BTF: unseen}, code: 1},
		"a server and no Node":        {options: Options{BTF: unseen, Server: r.server}, code: 1},
		"a server that is away":       {options: Options{BTF: unseen, Server: nowhere, Node: "go-ready"}, code: 6},
		"a wrong path":                {options: Options{BTF: unseen, Server: r.server + "/x", Node: "go-ready"}, code: 6},
		"header lost, made anew":      {options: Options{BTF: unseen, Server: r.server, Node: "go-lost"}},
		"wrong bytes in the store":    {options: Options{BTF: unseen, Server: r.server, Node: "go-damaged"}, code: 6},
	} {
		t.Run(name, func(t *testing.T) {
			c.options.Proc = r.proc(t, c.boot, c.release)
			fetch := r.fetch(t, c.options)
			if fetch.code != c.code {
				t.Fatalf("btfleet fetch ended with %d: %s", fetch.code, fetch.said)
			}
			c.options.Dir = filepath.Join(t.TempDir(), "dir")
			for _, c.options.Header = range []bool{false, true} {
				result, err := once(c.options)
				if kind := kinds[c.code]; kind != nil {
					if !errors.Is(err, kind) {
						t.Errorf("header %v: %v, and btfleet fetch: %s", c.options.Header, err, fetch.said)
					}
					// The temporary files are gone, too.
					if there := entries(t, c.options.Dir); len(there) != 0 {
						t.Error(there)
					}
					continue
				}
				if err != nil {
					t.Fatalf("header %v: %v", c.options.Header, err)
				}
				if result.Matched != fetch.Matched || result.BTFDigest != fetch.BTF {
					t.Errorf("%+v %+v", result, fetch)
				}
				if digest, err := digestOf(result.BTF); err != nil || digest != fetch.BTF {
					t.Error(digest, err)
				}
				if !c.options.Header {
					continue
				}
				if result.HeaderDigest != fetch.Header || result.Generator != fetch.Revision {
					t.Errorf("%+v %+v", result, fetch)
				}
				if digest, err := digestOf(result.Header); err != nil || digest != fetch.Header {
					t.Error(digest, err)
				}
			}
		})
	}
}

// otherKernel is BTF that differs in one letter of a name.
func otherKernel(btf []byte) []byte {
	other := []byte(string(btf))
	other[len(other)-2] ^= 1
	return other
}

// What it puts into its folder `btfleet fetch` would have put there, whoever of many comes first.
func TestManyAtOnceGetTheSame(t *testing.T) {
	r := newReal(t)
	results := make(chan error)
	const many = 30
	for range many {
		dir := filepath.Join(t.TempDir(), "dir")
		go func() {
			result, err := Fetch(context.Background(), Options{
				Server: r.server, Node: "go-ready", Source: SourceNode, Header: true, Dir: dir,
				Proc: filepath.Join(r.host, "proc"),
			})
			if err == nil && result.Matched != MatchedNode {
				err = fmt.Errorf("%+v", result)
			}
			results <- err
		}()
	}
	for range many {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}
