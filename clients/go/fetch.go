package btfleet

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"
)

const (
	// moment is how long somebody is waited for whose word is welcome and not needed.
	moment = 5 * time.Second
	// firstPause and maxPause are the pauses between tries: they double.
	firstPause = 500 * time.Millisecond
	maxPause   = 10 * time.Second
)

type fetch struct {
	Options
	server *server
	here   running
}

func (f *fetch) run(ctx context.Context) (*Result, error) {
	began := time.Now()
	if err := f.look(); err != nil {
		return nil, err
	}
	if f.Source == SourceOwn {
		f.server = nil
	}
	if f.here.own == ownRead && !f.Header {
		soon, stop := context.WithTimeout(ctx, moment)
		defer stop()
		if _, err := decide(f.here, f.word(soon), f.Match); err != nil {
			return nil, err
		}
		return f.result(named{btf: f.here.btf}, MatchedKernel), nil
	}
	told := ""
	for pause := firstPause; ; pause = min(pause*2, maxPause) {
		result, err := f.ask(ctx)
		trouble, is := errors.AsType[*Error](err)
		if !is || !trouble.mayPass {
			return result, err
		}
		// Somewhere between half and the whole of it, so that many who lost the same server do not return as one.
		wait := pause/2 + rand.N(pause/2)
		if f.server != nil {
			wait = max(wait, f.server.patience)
		}
		if err := f.wait(ctx, wait, trouble.Detail, &told); err != nil {
			trouble.Waited = time.Since(began)
			trouble.Context = err
			return nil, trouble
		}
	}
}

// wait waits for a pause; an error says why there is no time for it.
func (f *fetch) wait(ctx context.Context, pause time.Duration, why string, told *string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if deadline, is := ctx.Deadline(); is && time.Until(deadline) < pause {
		return context.DeadlineExceeded
	}
	if why != *told {
		f.log("waiting: " + why)
	}
	*told = why
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (f *fetch) log(line string) {
	if f.Log != nil {
		f.Log(line)
	}
}

var (
	isBootID  = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`).MatchString
	isRelease = regexp.MustCompile(`^[A-Za-z0-9._+~-]{1,64}$`).MatchString
)

// look sees what runs here.
func (f *fetch) look() error {
	line := func(path string, is func(string) bool) string {
		text, err := os.ReadFile(filepath.Join(f.Proc, path))
		if line := strings.TrimRight(string(text), "\n"); err == nil && is(line) {
			return line
		}
		return ""
	}
	f.here = running{
		bootID:  line("sys/kernel/random/boot_id", isBootID),
		arch:    runtime.GOARCH, // Kubernetes' spelling is Go's
		release: line("sys/kernel/osrelease", isRelease),
	}
	if f.Source == SourceNode {
		return nil
	}
	digest, err := digestOf(f.BTF)
	switch {
	case err == nil && !isBTF(f.BTF):
		return failed(ErrUnreadable, "%s is no BTF", f.BTF)
	case err == nil:
		f.here.own, f.here.btf = ownRead, digest
	case errors.Is(err, fs.ErrNotExist):
		f.here.own = ownAbsent
	default:
		f.log("this kernel's own BTF is not used: " + err.Error())
	}
	return nil
}

// isBTF is whether a file begins as BTF does, in either byte order (btf.rst, "BTF Type and String Encoding").
func isBTF(path string) bool {
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	var magic [2]byte
	_, err = io.ReadFull(file, magic[:])
	return err == nil && (magic == [2]byte{0x9f, 0xeb} || magic == [2]byte{0xeb, 0x9f})
}

// digestOf reads a file, of which there may be as much as of a blob.
func digestOf(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	hash := sha256.New()
	size, err := io.Copy(hash, io.LimitReader(file, maxBlob+1))
	switch {
	case err != nil:
		return "", err
	case size > maxBlob:
		return "", fmt.Errorf("%s has more than %d bytes, which is no BTF", path, maxBlob)
	}
	return "sha256:" + hex.EncodeToString(hash.Sum(nil)), nil
}

func (f *fetch) word(ctx context.Context) said {
	if f.server == nil || f.Node == "" {
		return said{word: wordNotAsked}
	}
	return f.server.word(ctx, f.Node)
}

// ask is one try with the server's help.
func (f *fetch) ask(ctx context.Context) (*Result, error) {
	word := f.word(ctx)
	if f.here.own == ownRead {
		if err := decideHeader(f.here, word); err != nil {
			return nil, err
		}
		return f.get(ctx, word.named, MatchedKernel)
	}
	todo, err := decide(f.here, word, f.Match)
	switch {
	case err != nil:
		return nil, err
	case f.server == nil:
		return nil, nobody()
	case todo == getNamed:
		return f.get(ctx, word.named, MatchedNode)
	}
	found, err := f.server.ofRelease(ctx, f.here.arch, f.here.release)
	if err != nil {
		return nil, err
	}
	btf, err := only(f.here, found)
	if err != nil {
		return nil, err
	}
	manifest, err := f.server.manifest(ctx, btf)
	if err != nil {
		return nil, err
	}
	if err = fits(f.here.arch, manifest.PointerSize, manifest.ByteOrder); err != nil {
		return nil, err
	}
	return f.get(ctx, named{btf, manifest.HeaderDigest, manifest.Generator}, MatchedRelease)
}

// get fetches what has these digests, and puts it into the folder once all of it is there and checked.
func (f *fetch) get(ctx context.Context, kernel named, matched Matched) (*Result, error) {
	if f.Dir == "" {
		return nil, errors.New("btfleet: Options.Dir is needed: there is something to fetch, and no folder to put it into")
	}
	place, err := newPlace(f.Dir)
	if err != nil {
		return nil, err
	}
	defer place.clear()
	result := f.result(kernel, matched)
	blob := func(path, what, digest string) func(io.Writer) error {
		return func(to io.Writer) error { return f.server.blob(ctx, path, what+" "+digest, digest, to) }
	}
	byDigest := "/v1/kernels/" + kernel.btf
	if matched != MatchedKernel {
		result.BTF, err = place.add("vmlinux.btf", kernel.btf, blob(byDigest+"/vmlinux.btf", "BTF", kernel.btf))
		if err != nil {
			return nil, err
		}
	}
	if f.Header {
		// A Node may name another generator's header, which only its own path gives.
		path := "/v1/nodes/" + f.Node + "/vmlinux.h"
		if matched == MatchedRelease {
			path = byDigest + "/vmlinux.h"
		}
		result.Header, err = place.add("vmlinux.h", kernel.header, blob(path, "header", kernel.header))
		if err != nil {
			return nil, err
		}
	}
	if err := place.commit(); err != nil {
		return nil, err
	}
	return result, nil
}

func (f *fetch) result(kernel named, matched Matched) *Result {
	result := &Result{BTF: f.BTF, Matched: matched, BTFDigest: kernel.btf}
	if f.Header {
		result.HeaderDigest, result.Generator = kernel.header, kernel.generator
	}
	return result
}
