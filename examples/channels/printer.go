package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
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

func (p printer) slack(news []change) {
	for _, c := range news {
		fmt.Fprintf(p.out, "  Slack: %s\n", c.what)
		p.lines("    │ ", c.lines, len(c.lines))
		if c.notification != "" {
			fmt.Fprintf(p.out, "    on the phone: %s\n", c.notification)
		}
		fmt.Fprintln(p.out)
	}
}

// mail prints a mail, the whole of it or the beginning.
func (p printer) mail(l letter, whole bool) {
	fmt.Fprintf(p.out, "  Mail: from %s, to %s\n", l.From, strings.Join(l.To, " and "))
	for _, name := range []string{"From", "To", "Subject", "Message-ID", "In-Reply-To"} {
		fmt.Fprintf(p.out, "    │ %s: %s\n", name, l.get(name))
	}
	fmt.Fprintln(p.out, "    │")
	text := strings.Split(strings.TrimSpace(l.text), "\n")
	most := 3
	if whole {
		most = len(text)
	}
	p.lines("    │ ", text, most)
	if whole {
		fmt.Fprintf(p.out, "    in its HTML form: %s\n", reason(l.html))
	}
	fmt.Fprintln(p.out)
}

// reason finds the lines of the justification in the source of a page.
func reason(html string) string {
	_, html, _ = strings.Cut(html, "Justification</span><br>")
	html, _, _ = strings.Cut(html, "</td>")
	return html
}

// sum says how it all ended.
func (p printer) sum(r *receivers) {
	for _, m := range r.slack.messages {
		fmt.Fprintf(p.out, "Slack shows %q with %d replies; people called: %d.\n", m.shown[0], len(m.replies), len(r.slack.mentions))
	}
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

// sns prints a message for the subscribers of a topic, down to the justification or the beginning only.
func (p printer) sns(m publication, long bool) {
	fmt.Fprintf(p.out, "  SNS: group %s, deduplication id %s\n", m.group, m.dedup)
	names := []string{"event_type", "severity"} // the others stay what they were, but for the id
	if long {
		names = slices.Sorted(maps.Keys(m.attributes))
		fmt.Fprintf(p.out, "    subject line for e-mail subscribers: %s\n", m.subject)
	}
	fmt.Fprintln(p.out, "    attributes to filter by:")
	for _, name := range names {
		fmt.Fprintf(p.out, "      %-11s = %s\n", name, m.attributes[name])
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, []byte(m.message), "", "  "); err != nil {
		fmt.Fprintf(p.out, "    no JSON: %v\n", err)
		return
	}
	lines := strings.Split(indented.String(), "\n")
	most := 4
	if at := slices.IndexFunc(lines, func(s string) bool { return strings.Contains(s, `"justification"`) }); long {
		most = at + 1
	}
	p.lines("    │ ", lines, most)
	fmt.Fprintln(p.out)
}
