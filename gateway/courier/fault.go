package courier

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// fault is the end of a host or of a connection before all recipients were decided. Its
// Answer is theirs if no other host does better.
type fault struct {
	Answer
	hop Hop   // on which it happened, if on one
	err error // why, for the log
	// clear: the next hop may be tried again without TLS, on a new connection.
	clear bool
	// stop: no other host is tried.
	stop bool
}

func (f *fault) Error() string {
	if f.err == nil {
		return f.Text
	}
	return f.Text + ": " + f.err.Error()
}

// Unwrap gives errors.Is the cause.
func (f *fault) Unwrap() error { return f.err }

// ours is a fault in our own words.
func ours(o Outcome, at Phase, enhanced [3]int, err error, format string, args ...any) *fault {
	code := 451
	if o == Failed {
		code = 550
	}
	return &fault{err: err, Answer: Answer{
		Outcome: o, Phase: at, Code: code, Enhanced: enhanced, Text: oneLine(fmt.Sprintf(format, args...)),
	}}
}

// said is a fault in the next hop's words: it refuses the session, not the message. Only
// an error can do that.
func said(at Phase, r reply) *fault {
	if !r.is(4) && !r.is(5) {
		return broken(at, errSyntax)
	}
	return &fault{Answer: r.answer(at)}
}

// broken is a fault of the connection. Codes: RFC 3463 section 3.5 and 3.6.
func broken(at Phase, err error) *fault {
	switch {
	case errors.Is(err, context.Canceled):
		return ours(Deferred, at, [3]int{4, 3, 2}, err, "the attempt was stopped")
	case errors.Is(err, errSyntax), errors.Is(err, errFlood), errors.Is(err, errTurn):
		return ours(Deferred, at, [3]int{4, 5, 0}, err, "the next hop does not speak SMTP: %s", err)
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return ours(Deferred, at, [3]int{4, 4, 2}, err, "the next hop did not answer in time")
	}
	return ours(Deferred, at, [3]int{4, 4, 2}, err, "the connection to the next hop was lost")
}
