package btfleet

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
)

const (
	// connect is how long a connection may take.
	connect = 10 * time.Second
	// silence is how long the server may say nothing: it may have to read the store first.
	silence = 60 * time.Second
	// maxJSON is the most bytes that a server's JSON may have.
	maxJSON = 16 << 20
	// maxWay is the most that is taken of a blob on its way, and maxBlob the most that it may have: many times what
	// the largest kernels have.
	maxWay  = 64 << 20
	maxBlob = 256 << 20
	// maxPatience is the longest pause that a server can ask for.
	maxPatience = 60 * time.Second
)

// server is `btfleet serve`.
type server struct {
	base   string
	client http.Client
	// patience is what the last answer's Retry-After asked for.
	patience time.Duration
}

func newServer(text string, client *http.Client) (*server, error) {
	base, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errors.New("it is not a URL")
	case base.Scheme != "http" && base.Scheme != "https":
		return nil, errors.New("http://HOST:PORT or https://HOST:PORT is expected")
	case base.Hostname() == "":
		return nil, errors.New("it names no host")
	case base.User != nil || base.RawQuery != "" || base.ForceQuery || base.Fragment != "":
		return nil, errors.New("neither a query nor a password may be in it")
	}
	s := &server{base: strings.TrimRight(text, "/")}
	if client != nil {
		s.client = *client
	} else {
		// A connection each: the next request may be hours away.
		s.client.Transport = &http.Transport{
			DialContext:         (&net.Dialer{Timeout: connect}).DialContext,
			TLSHandshakeTimeout: connect,
			DisableKeepAlives:   true,
		}
	}
	// Whoever answers in the server's place is not the server.
	s.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return s, nil
}

// answer is the head of an answer, and its body: at most limit bytes, each pause no longer than silence.
type answer struct {
	status int
	coding string
	body   *body
}

type body struct {
	from  io.ReadCloser
	limit int64
	taken int64
	err   error // what went wrong on the way
	ctx   context.Context
	stop  context.CancelCauseFunc
	timer *time.Timer // that stops it
}

func (b *body) Read(p []byte) (int, error) {
	b.timer.Reset(silence)
	n, err := b.from.Read(p)
	b.taken += int64(n)
	switch {
	case b.taken > b.limit:
		n, err = 0, fmt.Errorf("it sends more than %d bytes", b.limit)
	case b.ctx.Err() != nil:
		err = context.Cause(b.ctx)
	}
	if err != nil && err != io.EOF {
		b.err = err
	}
	return n, err
}

func (b *body) Close() error {
	b.timer.Stop()
	b.stop(nil)
	return b.from.Close()
}

// get asks for a path; accept is the content coding that is welcome. The error says what happened on the way.
func (s *server) get(ctx context.Context, path, accept string, limit int64) (*answer, error) {
	s.patience = 0
	ctx, stop := context.WithCancelCause(ctx)
	timer := time.AfterFunc(silence, func() { stop(fmt.Errorf("nothing for %v", silence)) })
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+path, nil)
	if err != nil {
		timer.Stop()
		stop(nil)
		return nil, err
	}
	request.Header.Set("Accept-Encoding", accept)
	request.Header.Set("User-Agent", "btfleet-go")
	response, err := s.client.Do(request)
	if err != nil {
		if wrapped, is := errors.AsType[*url.Error](err); is {
			err = wrapped.Err // the URL is said anyhow
		}
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		timer.Stop()
		stop(nil)
		return nil, err
	}
	if seconds, err := strconv.ParseUint(response.Header.Get("Retry-After"), 10, 31); err == nil {
		s.patience = min(time.Duration(seconds)*time.Second, maxPatience)
	}
	return &answer{
		status: response.StatusCode,
		coding: response.Header.Get("Content-Encoding"),
		body:   &body{from: response.Body, limit: limit, ctx: ctx, stop: stop, timer: timer},
	}, nil
}

// problem is RFC 9457's, as the server says it.
type problem struct {
	Type   string `json:"type"`
	Detail string `json:"detail"`
	BootID string `json:"bootId"`
}

// kind is the last word of a problem's type, if it is one of btfleet's.
func (p *problem) kind() string {
	kind, _ := strings.CutPrefix(p.Type, "tag:btfleet.dev,2026:problem/")
	return kind
}

// json asks for JSON: into is filled, or the problem says why not. An error is a later one.
func (s *server) json(ctx context.Context, path string, into any) (*problem, error) {
	answer, err := s.get(ctx, path, "identity", maxJSON)
	if err != nil {
		return nil, away("%s: %v", s.base, err)
	}
	defer answer.body.Close()
	text, err := io.ReadAll(answer.body)
	if err != nil {
		return nil, away("%s: %v", s.base, err)
	}
	if answer.status == http.StatusOK {
		if err = json.Unmarshal(text, into); err == nil {
			return nil, nil
		}
	} else {
		said := new(problem)
		if err = json.Unmarshal(text, said); err == nil && said.Type != "" {
			said.Detail = plain(said.Detail)
			return said, nil
		}
		err = errors.New("no problem is said")
	}
	return nil, away("%s: %d of %s is not what btfleet serve says: %v", s.base, answer.status, path, err)
}

// plain is a line to read, whoever wrote it.
func plain(text string) string {
	const most = 300
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text)
}

var isDigest = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`).MatchString

// nodeKernel is GET /v1/nodes/{node}/manifest.
type nodeKernel struct {
	BootID       string `json:"bootId"`
	BTFDigest    string `json:"btfDigest"`
	HeaderDigest string `json:"headerDigest"`
	Generator    uint32 `json:"generator"`
}

// word is what the cluster says of a node.
func (s *server) word(ctx context.Context, node string) said {
	var kernel nodeKernel
	problem, err := s.json(ctx, "/v1/nodes/"+node+"/manifest", &kernel)
	switch {
	case err != nil:
		return said{word: wordAway, why: detail(err)}
	case problem == nil && isDigest(kernel.BTFDigest) && isDigest(kernel.HeaderDigest) && kernel.Generator > 0:
		return said{word: wordReady, bootID: kernel.BootID, named: named{kernel.BTFDigest, kernel.HeaderDigest, kernel.Generator}}
	case problem == nil:
		return said{word: wordAway, why: s.base + ": what it says of the node names no kernel"}
	}
	switch problem.kind() {
	case "unknown-node":
		return said{word: wordUnknown}
	case "not-reported":
		return said{word: wordNotReported}
	case "stale":
		return said{word: wordStale}
	case "no-btf":
		return said{word: wordNoBTF, bootID: problem.BootID}
	case "node-error":
		return said{word: wordError, why: problem.Detail}
	}
	return said{word: wordAway, why: s.base + ": " + problem.Detail}
}

// detail is what went wrong, without the kind that it would be of.
func detail(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Detail
	}
	return err.Error()
}

// ofRelease gives the kernels of an arch and release, by their BTF's digests.
func (s *server) ofRelease(ctx context.Context, arch, release string) ([]string, error) {
	var list struct {
		Kernels []struct {
			BTFDigest string `json:"btfDigest"`
		} `json:"kernels"`
	}
	query := url.Values{"arch": {arch}, "release": {release}}
	problem, err := s.json(ctx, "/v1/kernels?"+query.Encode(), &list)
	switch {
	case err != nil:
		return nil, err
	case problem != nil:
		return nil, away("%s: %s", s.base, problem.Detail)
	}
	var found []string
	for _, kernel := range list.Kernels {
		if !isDigest(kernel.BTFDigest) {
			return nil, away("%s: its list of kernels names no digest", s.base)
		}
		found = append(found, kernel.BTFDigest)
	}
	return found, nil
}

// manifest is GET /v1/kernels/{kernel}/manifest.
type manifest struct {
	HeaderDigest string `json:"headerDigest"`
	Generator    uint32 `json:"generator"`
	PointerSize  int    `json:"pointerSize"`
	ByteOrder    string `json:"byteOrder"`
}

func (s *server) manifest(ctx context.Context, btf string) (*manifest, error) {
	said := new(manifest)
	problem, err := s.json(ctx, "/v1/kernels/"+btf+"/manifest", said)
	switch {
	case err != nil:
		return nil, err
	case problem != nil && problem.kind() == "unreadable-btf":
		return nil, failed(ErrUnreadable, "%s", problem.Detail)
	case problem != nil:
		return nil, away("%s: %s", s.base, problem.Detail)
	case !isDigest(said.HeaderDigest):
		return nil, away("%s: its manifest of BTF %s names no header", s.base, btf)
	}
	return said, nil
}

// blob writes what has this digest to a file; an error may leave wrong bytes there.
func (s *server) blob(ctx context.Context, path, what, digest string, to io.Writer) error {
	answer, err := s.get(ctx, path, "gzip", maxWay)
	if err != nil {
		return away("%s: %s: %v", s.base, what, err)
	}
	defer answer.body.Close()
	if answer.status != http.StatusOK {
		said := problem{Detail: strconv.Itoa(answer.status)}
		if text, err := io.ReadAll(io.LimitReader(answer.body, 64<<10)); err == nil {
			_ = json.Unmarshal(text, &said) // or its status is all that it says
		}
		return away("%s: %s: %s", s.base, what, plain(said.Detail))
	}
	failed := func(err error) error {
		if answer.body.err != nil {
			return away("%s: %s: %v", s.base, what, answer.body.err)
		}
		return wrong("%s: %s: its contents are wrong: %v", s.base, what, err)
	}
	var from io.Reader = answer.body
	switch answer.coding {
	case "", "identity":
	case "gzip":
		if from, err = gzip.NewReader(answer.body); err != nil {
			return failed(err)
		}
	default:
		return away("%s: %s: it is sent as %q, which was not asked for", s.base, what, answer.coding)
	}
	hash := sha256.New()
	// One byte more than there may be, so that it is seen.
	limited := &io.LimitedReader{R: from, N: maxBlob + 1}
	into := &file{to: to}
	if _, err = io.Copy(io.MultiWriter(hash, into), limited); into.err != nil {
		return into.err
	}
	switch found := "sha256:" + hex.EncodeToString(hash.Sum(nil)); {
	case err != nil:
		return failed(err)
	case limited.N == 0:
		return wrong("%s: %s: it has more than %d bytes", s.base, what, maxBlob)
	case found != digest:
		return wrong("%s: %s: what was sent is %s", s.base, what, found)
	}
	return nil
}

// file remembers what went wrong here, and not on the way.
type file struct {
	to  io.Writer
	err error
}

func (f *file) Write(p []byte) (int, error) {
	n, err := f.to.Write(p)
	f.err = err
	return n, err
}
