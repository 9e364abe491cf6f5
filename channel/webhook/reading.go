package webhook

import (
	"net/http"
	"strings"
	"time"

	"github.com/tocsin-go/tocsin/retry"
)

// Response is what a receiver answered, without the secrets of the configuration. It must not be modified or retained.
type Response struct {
	Status    int
	Header    http.Header // Set-Cookie and the targets of redirects are hidden
	Body      []byte      // at most Config.MaxResponse bytes, decoded from gzip or deflate; none of another Content-Encoding
	Truncated bool        // Body is only the beginning, or could not be decoded
}

// Reading is what an answer means.
type Reading struct {
	// Verdict counts in place of the status's: success, transient or permanent. Postponed counts as transient: something
	// was tried.
	Verdict retry.Verdict
	// Gone says of VerdictPermanent that the receiver is gone: the error is channel.ErrGone. With status 410 it need not
	// be set.
	Gone bool
	// Reason is the receiver's own code for a verdict other than success, such as "channel_not_found", for people. Take a
	// code, not a sentence, from the answer: an answer may quote the event. At most 100 characters of printable ASCII are
	// kept.
	Reason string
	// RetryAfter is how long the receiver wants to be left alone, for VerdictTransient: nothing is sent to it meanwhile,
	// see retry.Throttle. At most 24 hours count. 0 = what its headers say.
	RetryAfter time.Duration
	// ProviderID is the receiver's own id for what it took, for the receipt. It is left out when it is longer than 255
	// characters or holds anything but printable ASCII.
	ProviderID string
	// OutcomeUnknown says that the receiver may have acted although it answers something else, for the receipt.
	OutcomeUnknown bool
}

// read asks Config.Interpret what an answer means.
func (c *core) read(a answer) Reading {
	r := Reading{Verdict: retry.VerdictSuccess}
	if !c.succeeded(a.status) {
		r.Verdict = c.verdicts(a.status)
	}
	if c.interpret == nil {
		return r
	}
	r = c.interpret(Response{a.status, a.header, a.body, a.truncated}, r.Verdict)
	r.Reason = printable(r.Reason, 100)
	r.RetryAfter = min(r.RetryAfter, maxRetryAfter)
	if len(r.ProviderID) > 255 || printable(r.ProviderID, 255) != r.ProviderID {
		r.ProviderID = ""
	}
	return r
}

// printable returns at most most bytes of s, with what is not printable ASCII as blanks and without blanks around it.
func printable(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return ' '
		}
		return r
	}, s[:min(len(s), 4*most)])
	return strings.Trim(s[:min(len(s), most)], " ")
}
