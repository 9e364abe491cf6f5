// Package notice says in plain words what an event means to a person: for chat, pagers, tickets and mail. It is
// independent of destinations; each renders a [Notice] in its own syntax.
package notice

import (
	"slices"
	"strings"
	"time"

	"github.com/tocsin-go/tocsin/event"
)

// Notice is one event in plain words. Its strings are valid UTF-8 without control characters, bidirectional overrides
// and other invisible characters; only a Long Value may hold line feeds. They repeat text written by anybody: a
// destination has to escape them for its own syntax. Lengths are in runes.
type Notice struct {
	Title    string   // one line, at most 150: "Access request AR-2047 waits for approval"; never empty
	Summary  string   // one line, at most 500: who, what, until when; good as the text of a push message; never empty
	Severity Severity // how much it matters
	Phase    Phase    // whether it opens, updates or closes what its subject is tracked as
	Status   string   // one or two words, at most 40: "Pending", "Approved"; "" for a host's own event
	Facts    []Fact   // at most 24, in reading order, none without a value
	Link     string   // absolute http(s) URL from the event's data, at most 2048 ASCII characters; "" = none
	LinkText string   // what the link does: "Open request"; "" without Link
}

// Fact is one detail of a Notice.
type Fact struct {
	Label string    // at most 60: "Requester"
	Value string    // at most 500, or 4000 when Long; an instant is written in UTC
	Time  time.Time // set when Value is an instant, for destinations that show local time
	Long  bool      // free text that wants the full width, such as a justification; may have several lines
}

const (
	maxTitle     = 150
	maxSummary   = 500
	maxStatus    = 40
	maxFacts     = 24
	closingFacts = 2 // Tenant and When, which every Notice ends with
	maxLabel     = 60
	maxValue     = 500
	maxLong      = 4000
	maxName      = 80 // of a name inside a sentence
)

// Of returns what e means. Every event has a Notice: one whose type is not in the catalogue, or whose data does not fit
// its type, is described by its type, its subject and the plain values of its data. The result is the caller's.
//
// Severity says what is wanted of the reader: Critical for break-glass access, Error for access or a route that failed,
// Warning for what waits for somebody or did not go as asked (pending, denied, expired without a decision, expiring
// soon, revoked), Info for the rest. An alert has its priority's until it is resolved.
//
// The Notice of a test event (event.Event.IsTest) says so: Title and Summary begin with "TEST: ", and the first Fact is
// TEST. It is Info and Standalone whatever its type, so that it pages nobody and changes no open incident.
func Of(e event.Event) Notice {
	n, ok := catalogueNotice(e)
	if !ok {
		n = customNotice(e)
	}
	if e.IsTest() {
		n.Title, n.Summary = MarkTest(e, n.Title), MarkTest(e, n.Summary)
		n.Severity, n.Phase = Info, Standalone
		n.Facts = slices.Insert(n.Facts, 0, Fact{Label: testWord, Value: testMeaning})
	}
	n.Title, n.Summary, n.Status = line(n.Title, maxTitle), line(n.Summary, maxSummary), line(n.Status, maxStatus)
	if n.Link == "" {
		n.LinkText = ""
	}
	n.Facts = n.Facts[:min(len(n.Facts), maxFacts-closingFacts)]
	n.add("Tenant", e.Tenant())
	n.addTime("When", e.Time())
	return n
}

func catalogueNotice(e event.Event) (Notice, bool) {
	switch kind, _, _ := strings.Cut(string(e.Type()), "."); kind {
	case "request", "grant":
		return accessNotice(e)
	case "session":
		return sessionNotice(e)
	case "application_access":
		return applicationNotice(e)
	case "alert":
		return alertNotice(e)
	case "tocsin":
		if n, ok := routeNotice(e); ok {
			return n, true
		}
		return changeNotice(e)
	}
	return Notice{}, false
}

// Text returns n as lines of plain text: title, summary, facts and link. Further lines of a value are indented, so that
// no value can pass for a fact of its own.
func (n Notice) Text() string {
	var b strings.Builder
	b.WriteString(n.Title + "\n\n" + n.Summary + "\n\n")
	for _, f := range n.Facts {
		b.WriteString(f.Label + ": " + strings.ReplaceAll(f.Value, "\n", "\n  ") + "\n")
	}
	if n.Link != "" {
		b.WriteString("\n" + n.LinkText + ": " + n.Link + "\n")
	}
	return b.String()
}

// add appends a fact unless the value is empty.
func (n *Notice) add(label, value string) {
	if value = line(value, maxValue); value != "" {
		n.Facts = append(n.Facts, Fact{Label: line(label, maxLabel), Value: value})
	}
}

// addLong appends free text unless it is empty.
func (n *Notice) addLong(label, value string) {
	if value = paragraph(value, maxLong); value != "" {
		n.Facts = append(n.Facts, Fact{Label: line(label, maxLabel), Value: value, Long: true})
	}
}

// addTime appends an instant unless it is zero.
func (n *Notice) addTime(label string, t time.Time) {
	if !t.IsZero() {
		n.Facts = append(n.Facts, Fact{Label: line(label, maxLabel), Value: instant(t), Time: t.UTC()})
	}
}

// Severity is how much an event matters.
type Severity uint8

// The severities, in rising order.
const (
	Info     Severity = iota // good to know
	Warning                  // somebody is to decide or to take note
	Error                    // something does not work
	Critical                 // look at it now
)

// String returns the name in lower case.
func (s Severity) String() string {
	switch s {
	case Warning:
		return "warning"
	case Error:
		return "error"
	case Critical:
		return "critical"
	default:
		return "info"
	}
}

// Phase is what an event does to the ticket, incident or thread that a destination keeps for its subject.
type Phase uint8

// The phases.
const (
	Standalone Phase = iota // belongs to none, or nothing ever closes it
	Opens                   // opens one, or needs somebody's attention again
	Updates                 // changes it
	Closes                  // ends it
)

// String returns the name in lower case.
func (p Phase) String() string {
	switch p {
	case Opens:
		return "opens"
	case Updates:
		return "updates"
	case Closes:
		return "closes"
	default:
		return "standalone"
	}
}
