package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tocsin-go/tocsin/channel/channeltest/smtptest"
)

// printer shows what arrived.
type printer struct{ out io.Writer }

// lines prints lines below each other, most of them at the most.
func (p printer) lines(indent string, lines []string, most int) {
	for i, line := range lines {
		if i == most {
			fmt.Fprintf(p.out, "%s… and %d more lines\n", indent, len(lines)-i)
			break
		}
		fmt.Fprintln(p.out, strings.TrimRight(indent+line, " "))
	}
}

// slack prints what somebody who looks at the channel sees: the first time all of it, then the first lines of what is
// new.
func (p printer) slack(changes []change, whole bool) {
	for _, c := range changes {
		fmt.Fprintf(p.out, "  Slack: %s\n", c.what)
		shown := c.lines
		if !whole {
			shown = shown[:min(2, len(shown))]
		}
		for _, line := range shown {
			p.lines("    │ ", wrapped(line), len(line))
		}
		if c.notification != "" && whole {
			fmt.Fprint(p.out, "    on the phone:\n")
			p.lines("      ", wrapped(c.notification), len(c.notification))
		}
	}
	fmt.Fprintln(p.out)
}

// mail prints a mail: the first time its header and all of its text, then what it begins with.
func (p printer) mail(m smtptest.Mail, whole bool) {
	if !whole {
		fmt.Fprintf(p.out, "  Mail to %s, in the same thread:\n", strings.Join(m.To, " and "))
		p.lines("    │ ", wrapped(strings.Split(strings.TrimSpace(m.Text), "\n")[2]), 2)
		fmt.Fprintln(p.out)
		return
	}
	fmt.Fprintf(p.out, "  Mail: from %s, to %s\n", m.From, strings.Join(m.To, " and "))
	for _, name := range []string{"From", "To", "Subject", "Message-ID", "In-Reply-To"} {
		fmt.Fprintf(p.out, "    │ %s: %s\n", name, field(m, name))
	}
	fmt.Fprintln(p.out, "    │")
	for _, line := range strings.Split(strings.TrimSpace(m.Text), "\n") {
		p.lines("    │ ", wrapped(line), len(line)+1)
	}
	fmt.Fprint(p.out, "    its reason in the HTML form:\n")
	p.lines("      ", strings.SplitAfter(reason(m.HTML), "<br>"), 2)
	fmt.Fprintln(p.out)
}

// field returns a field of a mail's header in readable form.
func field(m smtptest.Mail, name string) string {
	value := m.Header.Get(name)
	if decoded, err := new(mime.WordDecoder).DecodeHeader(value); err == nil {
		return decoded
	}
	return value
}

// reason finds the lines of the justification in the source of a page.
func reason(html string) string {
	_, html, _ = strings.Cut(html, "Justification</span><br>")
	html, _, _ = strings.Cut(html, "</td>")
	return html
}

// sum says how it all ended.
func (p printer) sum(r *receivers) {
	messages, called := r.slack.Messages(), 0
	for _, m := range messages {
		called += len(m.Mentions)
	}
	fmt.Fprintf(p.out, "Slack shows %q with %d replies; people called: %d.\n", messages[0].Lines[0], len(messages)-1, called)
	got := map[string]int{}
	for _, e := range r.relay.Mails() {
		for _, to := range e.To {
			got[to]++
		}
	}
	for _, to := range slices.Sorted(maps.Keys(got)) {
		fmt.Fprintf(p.out, "Mails to %s: %d.\n", to, got[to])
	}
	fmt.Fprintf(p.out, "SNS took %d messages, each with a good signature.\n", len(r.topic.published))
}

// sns prints a message for the subscribers of a topic, down to the justification. After the first, its attributes are
// enough.
func (p printer) sns(m publication, whole bool) {
	if !whole {
		fmt.Fprintf(p.out, "  SNS: in the same group, with event_type = %s, severity = %s\n\n", m.attributes["event_type"], m.attributes["severity"])
		return
	}
	fmt.Fprintf(p.out, "  SNS: group %s\n       deduplication id %s\n", m.group, m.dedup)
	fmt.Fprintf(p.out, "       subject line for e-mail subscribers:\n       %s\n", m.subject)
	fmt.Fprintln(p.out, "       attributes to filter by:")
	for _, name := range slices.Sorted(maps.Keys(m.attributes)) {
		fmt.Fprintf(p.out, "         %-11s = %s\n", name, m.attributes[name])
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, []byte(m.message), "", "  "); err != nil {
		fmt.Fprintf(p.out, "    no JSON: %v\n", err)
		return
	}
	lines := strings.Split(indented.String(), "\n")
	p.lines("    │ ", lines, 1+slices.IndexFunc(lines, func(s string) bool { return strings.Contains(s, `"justification"`) }))
	fmt.Fprintln(p.out)
}

// width is how many characters of a text are printed in a line.
const width = 90

// wrapped breaks a line after words.
func wrapped(line string) []string {
	var lines []string
	for utf8.RuneCountInString(line) > width {
		at := strings.LastIndexByte(line[:width], ' ')
		if at <= 0 {
			break
		}
		lines = append(lines, line[:at])
		line = line[at+1:]
	}
	return append(lines, line)
}
