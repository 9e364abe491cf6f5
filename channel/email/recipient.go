package email

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/template"
)

// recipient is one address of a mail.
type recipient struct {
	field   string // of Config, for people: "To[2]"
	address string // "" = what was computed is no address
	hidden  bool   // not in the header
}

// key identifies a recipient. Local parts are case-sensitive in theory only.
func (r recipient) key() string { return strings.ToLower(r.address) }

// recipients are those of a Config.
type recipients struct {
	fixed    []recipient
	computed []*template.Template
}

func newRecipients(c *Config) (recipients, error) {
	var errs []error
	r := recipients{computed: slices.Clone(c.ToComputed)}
	add := func(name string, addresses []string, hidden bool) {
		for i, raw := range addresses {
			field := fmt.Sprintf("%s[%d]", name, i)
			address, problem := parseAddress(raw)
			if problem != "" {
				errs = append(errs, configError(codeFor(raw), field, problem, addressRemedy))
				continue
			}
			r.fixed = append(r.fixed, recipient{field, address, hidden})
		}
	}
	add("To", c.To, false)
	add("Bcc", c.Bcc, true)
	return r, errors.Join(errs...)
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
		text, ok, err := tryRender(ctx, field, t, e)
		if err != nil {
			return nil, err
		}
		if !ok { // an address of a megabyte is none
			add(recipient{field: field})
			continue
		}
		raw := strings.Trim(text, " \t\r\n") // around the template's tags; within an address nothing is corrected
		if raw == "" {
			continue
		}
		address, _ := parseAddress(raw)
		add(recipient{field: field, address: address})
	}
	return all, nil
}

const (
	maxLocal   = 64  // RFC 5321 section 4.5.3.1.1
	maxAddress = 254 // RFC 5321 section 4.5.3.1.3, without the angle brackets
)

const addressRemedy = "write one address such as jo@example.com and nothing else"

// parseAddress validates an address and returns it as it is sent: the domain in lower case and with A-labels. problem
// is "" if it is good. Quoted local parts and address literals are valid in RFC 5321 and refused all the same: in them
// the relays, libraries and filters of this world do not agree where an address ends.
func parseAddress(raw string) (address, problem string) {
	at := strings.LastIndexByte(raw, '@')
	if at < 0 {
		return "", "has no @"
	}
	local, domain := raw[:at], raw[at+1:]
	switch {
	case local == "":
		return "", "has nothing before the @"
	case len(local) > maxLocal:
		return "", "has more than 64 bytes before the @"
	case local[0] == '.' || local[len(local)-1] == '.' || strings.Contains(local, ".."):
		return "", "has a dot at the beginning or the end of the part before the @, or two in a row"
	case strings.ContainsFunc(local, func(r rune) bool { return !isAtom(r) }):
		return "", "has a character before the @ that is not a letter, a digit or one of .!#$%&'*+-/=?^_`{|}~"
	}
	domain, problem = parseHostName(domain)
	if problem != "" {
		return "", problem
	}
	if address = local + "@" + domain; len(address) > maxAddress {
		return "", "has more than 254 bytes"
	}
	return address, ""
}

// isAtom reports whether r may stand in a dot-atom, RFC 5322 section 3.2.3.
func isAtom(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(".!#$%&'*+-/=?^_`{|}~", r)
}

// parseHostName validates a host name that is no IP address and returns it with A-labels. Mail knows neither a dot at
// the end nor underscores (RFC 5321, section 2.3.5).
func parseHostName(raw string) (name, problem string) {
	name, err := netguard.ParseHost("", raw)
	if n, ok := errors.AsType[*channel.ConfigError](err); ok {
		return "", n.Problem
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return "", "has an IP address in place of a host name"
	}
	switch {
	case strings.HasSuffix(name, "."):
		return "", "has a host with a dot at the end, which mail does not know"
	case strings.Contains(name, "_"):
		return "", "has a host with an underscore, which no mail domain may have"
	}
	return name, ""
}
