package notice

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-go/tocsin/event"
)

// phrase joins its parts with spaces and leaves out empty ones.
func phrase(parts ...string) string {
	return strings.Join(nonEmpty(parts), " ")
}

func nonEmpty(all []string) []string {
	var some []string
	for _, s := range all {
		if s != "" {
			some = append(some, s)
		}
	}
	return some
}

// name returns the first of the given strings that shows something, fit for a sentence.
func name(candidates ...string) string {
	for _, c := range candidates {
		if s := line(c, maxName); s != "" {
			return s
		}
	}
	return ""
}

// nameOf is what a person is called in a sentence; "" when nothing is known.
func nameOf(p event.Person) string { return name(p.Name, p.Email, p.ID) }

// contact is a person with the address at which to ask back.
func contact(p event.Person) string {
	who, address := nameOf(p), line(p.Email, maxValue)
	if who == "" || address == "" || who == address {
		return who
	}
	return who + " (" + address + ")"
}

// enumerate is one of several things: "a", "a and b", "a, b and c", "a, b and 5 more".
func enumerate(items []string, most int, last string) string {
	items = nonEmpty(items)
	if rest := len(items) - most; rest > 0 {
		items = append(items[:most:most], strconv.Itoa(rest)+" more")
		last = "and"
	}
	n := len(items)
	if n < 2 {
		return strings.Join(items, "")
	}
	return strings.Join(items[:n-1], ", ") + " " + last + " " + items[n-1]
}

// before puts words in front of what is not empty.
func before(words, s string) string {
	if s == "" {
		return ""
	}
	return words + " " + s
}

// instant is a time in UTC; "" for none.
func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04 UTC")
}

// duration says so many seconds in the two largest units: "4 hours", "1 day 2 hours"; "" for none.
func duration(seconds int64) string {
	var parts []string
	for _, unit := range []struct {
		seconds int64
		name    string
	}{{86400, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}} {
		n := seconds / unit.seconds
		if seconds %= unit.seconds; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s%s", n, unit.name, plural(n)))
		} else if len(parts) > 0 {
			break // "1 day", not "1 day 5 seconds"
		}
		if len(parts) == 2 {
			break
		}
	}
	return strings.Join(parts, " ")
}

func plural(n int64) string {
	if n == 1 {
		return ""
	}
	return "s"
}

// sentence ends a text with a full stop.
func sentence(parts ...string) string {
	s := line(phrase(parts...), maxSummary-1)
	return strings.TrimRight(s, ".") + "."
}

// orSomebody is who acts when the event does not say.
func orSomebody(who string) string { return cmp.Or(who, "Somebody") }
