package btfleet

import (
	"errors"
	"fmt"
	"time"
)

// The kinds of [Error], for errors.Is.
var (
	// ErrNoBTF: the kernel has no BTF (CONFIG_DEBUG_INFO_BTF is off), and nothing stands in for it.
	ErrNoBTF = errors.New("no BTF")
	// ErrNotReady: the Node does not speak of this boot yet, or its agent failed.
	ErrNotReady = errors.New("not ready")
	// ErrUnreachable: nobody who could give it was reached.
	ErrUnreachable = errors.New("unreachable")
	// ErrMismatch: what is said and what is there contradict each other.
	ErrMismatch = errors.New("mismatch")
	// ErrUnreadable: the BTF is there, and it is none, or no header can be made of it.
	ErrUnreadable = errors.New("unreadable BTF")
	// ErrNobody: the kernel's own BTF cannot be read, or a header is wanted, and nobody was given to ask.
	ErrNobody = errors.New("nobody to ask")
)

// Error is why there is nothing. No file that was not checked has appeared.
type Error struct {
	// Kind is one of the errors above.
	Kind error
	// Detail is what happened, for people.
	Detail string
	// Waited is how long something better was waited for.
	Waited time.Duration
	// Context is why waiting ended, if ctx ended it: [context.Canceled], [context.DeadlineExceeded] or its cause.
	Context error

	mayPass bool
}

func (e *Error) Error() string {
	text := fmt.Sprintf("btfleet: %v: %s", e.Kind, e.Detail)
	if e.Waited > 0 {
		text += fmt.Sprintf(" (waited %v)", e.Waited.Round(time.Millisecond))
	}
	return text
}

// Unwrap gives the kind and what ended ctx.
func (e *Error) Unwrap() []error {
	if e.Context == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Context}
}

func failed(kind error, format string, args ...any) *Error {
	return &Error{Kind: kind, Detail: fmt.Sprintf(format, args...)}
}

// later is an error that may pass.
func later(kind error, format string, args ...any) *Error {
	err := failed(kind, format, args...)
	err.mayPass = true
	return err
}

func away(format string, args ...any) *Error  { return later(ErrUnreachable, format, args...) }
func wrong(format string, args ...any) *Error { return later(ErrMismatch, format, args...) }
