package btfleet

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// direct answers without a network, so that time is only what is waited.
type direct struct{ http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	recorder := httptest.NewRecorder()
	d.ServeHTTP(recorder, r)
	return recorder.Result(), r.Context().Err()
}

func (f *fake) direct() Options {
	return Options{
		Server: "http://btfleet", Client: &http.Client{Transport: direct{f}},
		Node: "a", Dir: f.dir, Source: SourceNode, Proc: f.proc,
	}
}

func after(ctx context.Context, options Options) (time.Duration, error) {
	began := time.Now()
	_, err := Fetch(ctx, options)
	return time.Since(began), err
}

func TestPausesGrowUntilTheDeadlineWouldPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.answers[nodePath] = http.NotFound
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		options, heard := f.direct(), 0
		options.Log = func(string) { heard++ }
		took, err := after(ctx, options)
		if !errors.Is(err, ErrUnreachable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		// 0.5, 1, 2, 4, 8, 10, 10 … s, each somewhere between its half and its whole.
		if took < 50*time.Second || took > time.Minute {
			t.Error(took)
		}
		if asked := f.asked.Load(); asked < 8 || asked > 15 {
			t.Error(asked, "tries")
		}
		if heard != 1 {
			t.Error("heard", heard, "times of one reason")
		}
	})
}

func TestAServersRetryAfterIsObeyedWithinReason(t *testing.T) {
	for header, least := range map[string]time.Duration{"7": 7 * time.Second, "3600": maxPatience, "x": firstPause / 2} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(t)
			f.answers[nodePath] = func(w http.ResponseWriter, r *http.Request) {
				if f.asked.Load() > 1 {
					says(ready(boot))(w, r)
					return
				}
				w.Header().Set("Retry-After", header)
				w.WriteHeader(503)
			}
			took, err := after(t.Context(), f.direct())
			if err != nil || took < least || took > least+time.Second {
				t.Error(header, took, err)
			}
		})
	}
}

func TestANodeThatRebootedIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.answers[nodePath] = func(w http.ResponseWriter, r *http.Request) {
			switch f.asked.Load() {
			case 1:
				says(ready(another))(w, r)
			case 2:
				problemOf("stale", 503)(w, r)
			default:
				says(ready(boot))(w, r)
			}
		}
		took, err := after(t.Context(), f.direct())
		if err != nil || took < 7*time.Second || took > 10*time.Second {
			t.Error(took, err)
		}
	})
}

// silent never answers.
type silent struct{}

func (silent) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// stalled answers, and then falls silent.
type stalled struct{}

func (stalled) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Body: waiting{r.Context()}}, nil
}

type waiting struct{ ctx context.Context }

func (w waiting) Read([]byte) (int, error) { <-w.ctx.Done(); return 0, w.ctx.Err() }
func (waiting) Close() error               { return nil }

func TestAServerThatFallsSilentIsLeft(t *testing.T) {
	for name, transport := range map[string]http.RoundTripper{"before": silent{}, "within": stalled{}} {
		synctest.Test(t, func(t *testing.T) {
			options := newFake(t).direct()
			options.Client.Transport = transport
			ctx, stop := context.WithTimeout(t.Context(), silence+firstPause/4)
			defer stop()
			took, err := after(ctx, options)
			if !errors.Is(err, ErrUnreachable) || took != silence {
				t.Error(name, took, err)
			}
			// With less time than that it is the deadline that counts, to the moment.
			ctx, stop = context.WithTimeout(t.Context(), 3*time.Second)
			defer stop()
			took, err = after(ctx, options)
			if !errors.Is(err, ErrUnreachable) || !errors.Is(err, context.DeadlineExceeded) || took != 3*time.Second {
				t.Error(name, took, err)
			}
		})
	}
}

func TestWhoeverIsNotNeededIsNotWaitedForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		options := f.direct()
		options.Client.Transport = silent{}
		options.Source, options.BTF = SourceAuto, f.write("btf", string(kernelBTF))
		took, err := after(t.Context(), options)
		if err != nil || took != moment {
			t.Error(took, err)
		}
	})
}

func TestACanceledContextEndsThePause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.answers[nodePath] = problemOf("stale", 503)
		why := errors.New("the pod is to go")
		ctx, stop := context.WithCancelCause(t.Context())
		time.AfterFunc(3*time.Second, func() { stop(why) })
		took, err := after(ctx, f.direct())
		if took != 3*time.Second || !errors.Is(err, why) || !errors.Is(err, ErrNotReady) {
			t.Error(took, err)
		}
	})
}

// slow sends a byte every 40 s.
type slow struct{ left []byte }

func (s *slow) Read(p []byte) (int, error) {
	time.Sleep(silence * 2 / 3)
	if len(s.left) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:1], s.left)
	s.left = s.left[n:]
	return n, nil
}
func (*slow) Close() error { return nil }

func TestAServerThatIsSlowAndNotSilentIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithTimeout(t.Context(), time.Hour)
		defer stop()
		transport := transportFunc(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: &slow{left: []byte(`{"a":1}`)}}, nil
		})
		s, err := newServer("http://btfleet", &http.Client{Transport: transport})
		if err != nil {
			t.Fatal(err)
		}
		var into struct{ A int }
		if problem, err := s.json(ctx, "/", &into); problem != nil || err != nil || into.A != 1 {
			t.Error(problem, err, into)
		}
	})
}

type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
