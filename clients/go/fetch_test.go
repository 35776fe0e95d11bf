package btfleet

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
)

func sum(blob []byte) string {
	digest := sha256.Sum256(blob)
	return "sha256:" + hex.EncodeToString(digest[:])
}

func zip(blob []byte) []byte {
	var to bytes.Buffer
	writer, _ := gzip.NewWriterLevel(&to, gzip.BestSpeed) // a level that there is
	_, _ = writer.Write(blob)                             // to memory
	_ = writer.Close()
	return to.Bytes()
}

var (
	kernelBTF    = append([]byte("\x9f\xeb"), bytes.Repeat([]byte("a kernel's types "), 5000)...)
	kernelHeader = bytes.Repeat([]byte("struct task_struct; "), 5000)
)

// fake is a server, and a host.
type fake struct {
	t       *testing.T
	answers map[string]http.HandlerFunc
	asked   atomic.Int32
	proc    string
	dir     string
}

const (
	nodePath   = "/v1/nodes/a/manifest"
	headerPath = "/v1/nodes/a/vmlinux.h"
)

var btfPath = "/v1/kernels/" + sum(kernelBTF) + "/vmlinux.btf"

func newFake(t *testing.T) *fake {
	f := &fake{t: t, proc: t.TempDir(), dir: filepath.Join(t.TempDir(), "a", "b")}
	f.write("sys/kernel/random/boot_id", boot+"\n")
	f.write("sys/kernel/osrelease", "6.1.0\n")
	f.answers = map[string]http.HandlerFunc{
		nodePath:   says(ready(boot)),
		btfPath:    sends(kernelBTF),
		headerPath: sends(kernelHeader),
	}
	return f
}

func (f *fake) write(path, text string) string {
	f.t.Helper()
	path = filepath.Join(f.proc, path)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		f.t.Fatal(err)
	}
	return path
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.asked.Add(1)
	if answer := f.answers[r.URL.Path]; answer != nil {
		answer(w, r)
		return
	}
	problemOf("no-route", 404)(w, r)
}

// options are those of a host whose own BTF cannot be seen, and a real server.
func (f *fake) options() Options {
	server := httptest.NewServer(f)
	f.t.Cleanup(server.Close)
	return Options{Server: server.URL, Node: "a", Dir: f.dir, Source: SourceNode, Header: true, Proc: f.proc}
}

func ready(boot string) any {
	return map[string]any{
		"node": "a", "bootId": boot, "btfDigest": sum(kernelBTF), "headerDigest": sum(kernelHeader), "generator": 1,
	}
}

func says(value any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(value) }
}

// sends sends a blob as the server does: compressed where that is welcome.
func sends(blob []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") == "gzip" {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(zip(blob))
			return
		}
		_, _ = w.Write(blob)
	}
}

func problemOf(kind string, status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		if status == 503 {
			w.Header().Set("Retry-After", "7")
		}
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{
			"type": "tag:btfleet.dev,2026:problem/" + kind, "status": status, "detail": "because of " + kind, "bootId": boot,
		})
	}
}

// once fetches until it would have to wait.
func once(options Options) (*Result, error) {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	options.Log = func(line string) {
		if strings.HasPrefix(line, "waiting: ") {
			stop()
		}
	}
	return Fetch(ctx, options)
}

func entries(t *testing.T, dir string) []string {
	t.Helper()
	there, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range there {
		names = append(names, entry.Name())
	}
	return names
}

func has(t *testing.T, path string, blob []byte) {
	t.Helper()
	found, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(found, blob) {
		t.Fatalf("%s: %d bytes, %v", path, len(found), err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o644 {
		t.Fatalf("%s: %v %v", path, info.Mode(), err)
	}
}

func TestWhatTheNodeNamesIsFetchedCheckedAndNotFetchedTwice(t *testing.T) {
	f := newFake(t)
	options := f.options()
	for _, asked := range []int32{3, 1} {
		f.asked.Store(0)
		result, err := once(options)
		if err != nil {
			t.Fatal(err)
		}
		want := Result{
			BTF: filepath.Join(f.dir, "vmlinux.btf"), Header: filepath.Join(f.dir, "vmlinux.h"), Matched: MatchedNode,
			BTFDigest: sum(kernelBTF), HeaderDigest: sum(kernelHeader), Generator: 1,
		}
		if *result != want {
			t.Errorf("%+v", result)
		}
		if id := result.KernelID(); len(id) != 32 || !strings.HasPrefix(sum(kernelBTF), "sha256:"+id) {
			t.Error(id)
		}
		has(t, result.BTF, kernelBTF)
		has(t, result.Header, kernelHeader)
		if got := f.asked.Load(); got != asked {
			t.Errorf("%d requests", got)
		}
	}
	// What is there and wrong is replaced.
	if err := os.WriteFile(filepath.Join(f.dir, "vmlinux.btf"), []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	result, err := once(options)
	if err != nil {
		t.Fatal(err)
	}
	has(t, result.BTF, kernelBTF)
	if left := entries(t, f.dir); len(left) != 2 {
		t.Error(left)
	}
}

func TestWithoutAHeaderNoneIsFetched(t *testing.T) {
	f := newFake(t)
	options := f.options()
	options.Header = false
	result, err := once(options)
	if err != nil || result.Header != "" || result.HeaderDigest != "" {
		t.Fatalf("%+v %v", result, err)
	}
	if there := entries(t, f.dir); len(there) != 1 || there[0] != "vmlinux.btf" {
		t.Error(there)
	}
}

func TestTheKernelsOwnBTFNeedsNobodyAndStaysWhereItIs(t *testing.T) {
	f := newFake(t)
	closed := httptest.NewServer(f)
	closed.Close()
	own := f.write("btf", string(kernelBTF))
	for _, server := range []string{"", closed.URL} {
		result, err := once(Options{Server: server, Node: "a", BTF: own, Proc: f.proc})
		if err != nil || result.BTF != own || result.Matched != MatchedKernel || result.BTFDigest != sum(kernelBTF) {
			t.Errorf("%q: %+v %v", server, result, err)
		}
	}
	// Its header is the server's, by what the Node says.
	options := f.options()
	options.Source, options.BTF = SourceAuto, own
	result, err := once(options)
	if err != nil || result.BTF != own || result.Matched != MatchedKernel {
		t.Fatalf("%+v %v", result, err)
	}
	has(t, result.Header, kernelHeader)
	if there := entries(t, f.dir); len(there) != 1 {
		t.Error(there)
	}
	if _, err = once(Options{BTF: own, Proc: f.proc, Header: true}); !errors.Is(err, ErrNobody) {
		t.Error(err)
	}
	for _, text := range []string{"", "\x9f", "\x7fELF"} {
		if _, err = once(Options{BTF: f.write("btf", text), Proc: f.proc}); !errors.Is(err, ErrUnreadable) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestAServerThatContradictsTheKernelIsAnError(t *testing.T) {
	f := newFake(t)
	own := f.write("btf", "\xeb\x9fanother kernel's types")
	for kind, answer := range map[string]http.HandlerFunc{"ready": says(ready(boot)), "no-btf": problemOf("no-btf", 404)} {
		f.answers[nodePath] = answer
		for _, header := range []bool{false, true} {
			options := f.options()
			options.Source, options.BTF, options.Header = SourceAuto, own, header
			if _, err := once(options); !errors.Is(err, ErrMismatch) || errors.Is(err, context.Canceled) {
				t.Errorf("%s, header %v: %v", kind, header, err)
			}
		}
	}
	if there := entries(t, f.dir); len(there) != 0 {
		t.Error(there)
	}
	// Of another boot it says nothing about this kernel; and nobody is asked who is not to be.
	f.answers[nodePath] = says(ready(another))
	options := f.options()
	options.Source, options.BTF, options.Header = SourceAuto, own, false
	if _, err := once(options); err != nil {
		t.Error(err)
	}
	f.answers[nodePath] = says(ready(boot))
	options.Source = SourceOwn
	if _, err := once(options); err != nil {
		t.Error(err)
	}
}

func TestWhatIsSaidOfANodeIsAnErrorOfItsKind(t *testing.T) {
	names := func(btf, header string, generator int) http.HandlerFunc {
		return says(map[string]any{"bootId": boot, "btfDigest": btf, "headerDigest": header, "generator": generator})
	}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		kind   error
		waits  bool
	}{
		"another boot":       {says(ready(another)), ErrNotReady, true},
		"stale":              {problemOf("stale", 503), ErrNotReady, true},
		"not reported":       {problemOf("not-reported", 503), ErrNotReady, true},
		"unknown node":       {problemOf("unknown-node", 404), ErrNotReady, true},
		"node error":         {problemOf("node-error", 503), ErrNotReady, true},
		"no BTF":             {problemOf("no-btf", 404), ErrNoBTF, false},
		"busy":               {problemOf("busy", 503), ErrUnreachable, true},
		"no cluster":         {problemOf("no-cluster", 404), ErrUnreachable, true},
		"someone else's 404": {http.NotFound, ErrUnreachable, true},
		"no JSON":            {sends([]byte("<html>")), ErrUnreachable, true},
		"no BTF digest":      {names("sha256:../../x", digit("a"), 1), ErrUnreachable, true},
		"no header digest":   {names(digit("a"), digit("A"), 1), ErrUnreachable, true},
		"no generator":       {names(digit("a"), digit("a"), 0), ErrUnreachable, true},
		"endless JSON":       {sends(bytes.Repeat([]byte(" "), maxJSON+1)), ErrUnreachable, true},
		"unpleasant":         {says(map[string]any{"generator": "\x1b[2J\n"}), ErrUnreachable, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.answers[nodePath] = c.answer
			_, err := once(f.options())
			if !errors.Is(err, c.kind) || errors.Is(err, context.Canceled) != c.waits {
				t.Error(err)
			}
			// Nothing is asked for by digests that are none.
			if asked := f.asked.Load(); asked != 1 {
				t.Error(asked, "requests")
			}
			if strings.ContainsAny(fmt.Sprint(err), "\n\x1b") {
				t.Errorf("%q", err)
			}
			if there := entries(t, f.dir); len(there) != 0 {
				t.Error(there)
			}
		})
	}
}

// Whatever goes wrong with a blob, nothing appears; and once it goes well, all of it does.
func TestNoByteThatWasNotCheckedAppears(t *testing.T) {
	elsewhere := httptest.NewServer(sends(kernelHeader))
	t.Cleanup(elsewhere.Close)
	zipped := zip(kernelHeader)
	as := func(coding string, blob []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", coding)
			_, _ = w.Write(blob)
		}
	}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		kind   error
	}{
		"other bytes":          {as("identity", append([]byte("x"), kernelHeader...)), ErrMismatch},
		"other bytes, zipped":  {sends([]byte("struct task_struct;")), ErrMismatch},
		"more bytes":           {sends(append(bytes.Clone(kernelHeader), 'x')), ErrMismatch},
		"nothing":              {as("identity", nil), ErrMismatch},
		"half of the gzip":     {as("gzip", zipped[:len(zipped)/2]), ErrMismatch},
		"no gzip":              {as("gzip", kernelHeader), ErrMismatch},
		"more than a blob":     {as("gzip", zip(make([]byte, maxBlob+1))), ErrMismatch},
		"more than the way":    {as("identity", make([]byte, maxWay+1)), ErrUnreachable},
		"a coding not welcome": {as("zstd", kernelHeader), ErrUnreachable},
		"503":                  {problemOf("missing", 503), ErrUnreachable},
		"elsewhere":            {http.RedirectHandler(elsewhere.URL+headerPath, 307).ServeHTTP, ErrUnreachable},
		"cut": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(kernelHeader)))
			_, _ = w.Write(kernelHeader[:len(kernelHeader)-1])
			panic(http.ErrAbortHandler)
		}, ErrUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			f.answers[headerPath] = c.answer
			options := f.options()
			_, err := once(options)
			if !errors.Is(err, c.kind) || !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			if isMuch := strings.HasPrefix(name, "more than"); isMuch != strings.Contains(err.Error(), "more than") {
				t.Error(err)
			}
			if there := entries(t, f.dir); len(there) != 0 {
				t.Error(there)
			}
			f.answers[headerPath] = sends(kernelHeader)
			if _, err := once(options); err != nil {
				t.Error(err)
			}
			if there := entries(t, f.dir); len(there) != 2 {
				t.Error(there)
			}
		})
	}
}

func TestExactlyOneKernelMayBearTheReleaseOfAKernelWithoutBTF(t *testing.T) {
	f := newFake(t)
	btf := sum(kernelBTF)
	shape := map[string]any{"headerDigest": sum(kernelHeader), "generator": 1, "pointerSize": 8, "byteOrder": "little"}
	list := func(digests ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if q := r.URL.Query(); q.Get("release") != "6.1.0" || q.Get("arch") != runtime.GOARCH {
				t.Errorf("%v", q)
			}
			kernels := []any{}
			for _, digest := range digests {
				kernels = append(kernels, map[string]any{"btfDigest": digest})
			}
			says(map[string]any{"kernels": kernels})(w, r)
		}
	}
	f.answers[nodePath] = problemOf("no-btf", 404)
	f.answers["/v1/kernels"] = list(btf)
	f.answers["/v1/kernels/"+btf+"/manifest"] = says(shape)
	f.answers["/v1/kernels/"+btf+"/vmlinux.h"] = sends(kernelHeader)
	options := f.options()
	options.Source, options.BTF = SourceAuto, filepath.Join(f.proc, "absent")
	if _, err := once(options); !errors.Is(err, ErrNoBTF) {
		t.Fatal(err)
	}
	options.Match = MatchRelease
	options.Dir += "x"
	result, err := once(options)
	if err != nil || result.Matched != MatchedRelease || result.BTFDigest != btf {
		t.Fatalf("%+v %v", result, err)
	}
	has(t, result.BTF, kernelBTF)
	has(t, result.Header, kernelHeader)

	options.Dir = f.dir
	f.answers["/v1/kernels/"+btf+"/manifest"] = problemOf("unreadable-btf", 404)
	if _, err = once(options); !errors.Is(err, ErrUnreadable) {
		t.Error(err)
	}
	shape["pointerSize"] = 3
	f.answers["/v1/kernels/"+btf+"/manifest"] = says(shape)
	if _, err = once(options); !errors.Is(err, ErrMismatch) || errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	for _, digests := range [][]string{{}, {btf, digit("b")}} {
		f.answers["/v1/kernels"] = list(digests...)
		if _, err = once(options); !errors.Is(err, ErrNoBTF) {
			t.Errorf("%v: %v", digests, err)
		}
	}
	f.answers["/v1/kernels"] = list("sha256:../x")
	if _, err = once(options); !errors.Is(err, ErrUnreachable) {
		t.Error(err)
	}
	if there := entries(t, f.dir); len(there) != 0 {
		t.Error(there)
	}
}

func TestOptionsThatMakeNoSenseAreRefused(t *testing.T) {
	for _, url := range []string{"btfleet:8080", "ftp://h", "http://", "http://h?x", "http://u:p@h", "http://h\n"} {
		if _, err := Fetch(t.Context(), Options{Server: url, BTF: "/"}); err == nil {
			t.Errorf("%q", url)
		}
	}
	f := newFake(t)
	options := f.options()
	for _, node := range []string{"a/b", "..", "a?b", "A", "a\n", strings.Repeat("a", 254)} {
		options.Node = node
		if _, err := Fetch(t.Context(), options); err == nil || f.asked.Load() > 0 {
			t.Errorf("%q: %v", node, err)
		}
	}
	options = f.options()
	options.Dir = ""
	if _, err := Fetch(t.Context(), options); err == nil || !strings.Contains(err.Error(), "Dir") {
		t.Error(err)
	}
	options.Dir = f.write("file", "")
	if _, err := Fetch(t.Context(), options); err == nil {
		t.Error("a file is no folder")
	}
}
