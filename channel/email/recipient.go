package email

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/template"
)

// recipient is somebody to send to.
type recipient struct {
	field   string // of Config, for people: "To[2]"
	address string // "" = what was computed is no address
	hidden  bool   // not in the header
}

// key is what tells recipients apart. Local parts are case-sensitive in theory only.
func (r recipient) key() string { return strings.ToLower(r.address) }

// recipients are those of a Config.
type recipients struct {
	fixed    []recipient
	computed []*template.Template
}

func newRecipients(c *Config) (recipients, []error) {
	var errs []error
	r := recipients{computed: slices.Clone(c.ToComputed)}
	add := func(name string, addresses []string, hidden bool) {
		for i, raw := range addresses {
			field := fmt.Sprintf("%s[%d]", name, i)
			address, problem := parseAddress(raw)
			if problem != "" {
				errs = append(errs, mistake(codeOf(raw), field, problem, addressRemedy))
				continue
			}
			r.fixed = append(r.fixed, recipient{field, address, hidden})
		}
	}
	add("To", c.To, false)
	add("Bcc", c.Bcc, true)
	return r, errs
}

// of returns the recipients of an event, each address once. Those that are no address are among them, without one; what
// made nothing is not. The error is that of a template.
func (r recipients) of(ctx context.Context, e event.Event) ([]recipient, error) {
	var all []recipient
	seen := make(map[string]bool)
	add := func(to recipient) {
		if to.address == "" || !seen[to.key()] {
			all = append(all, to)
			seen[to.key()] = true
		}
	}
	for _, to := range r.fixed {
		add(to)
	}
	for i, t := range r.computed {
		field := fmt.Sprintf("ToComputed[%d]", i)
		made, err := t.Render(ctx, nil, e.Decoded())
		if err != nil && !tooMuch(err) {
			return nil, &writeError{field, err}
		}
		if err != nil { // an address of a megabyte is none
			add(recipient{field: field})
			continue
		}
		raw := strings.Trim(string(made), " \t\r\n") // around the template's tags; within an address nothing is corrected
		if raw == "" {
			continue
		}
		address, _ := parseAddress(raw)
		add(recipient{field: field, address: address})
	}
	return all, nil
}
