package email

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/template"
)

// maxRecipients is how many recipients one channel has, computed ones included.
const maxRecipients = 10

// defaultTimeout is the time of one attempt. RFC 5321 section 4.5.3.2 would wait five minutes for many a reply, and a
// queue better tries again.
const defaultTimeout = 30 * time.Second

// Config describes what is mailed, to whom and through which relay. Relay.Host, From and one recipient are required.
// Printing a Config shows the relay's address only.
//
// Addresses are local@domain: a local part of letters, digits, dots and !#$%&'*+-/=?^_`{|}~, without quotes; a host
// name, which may be written in any script. Nothing else is allowed beside the address.
//
// Templates see the event's decoded form and may be shared by any number of channels. Those of the syntax
// template.Macros are as good as Handlebars.
type Config struct {
	Relay Relay
	// From is the sender's address, without a name, also for mail that bounces. FromName is shown beside it; at most
	// 100 characters.
	From     string
	FromName string
	// ReplyTo is the address for answers. "" = From.
	ReplyTo string
	// To are recipients that the header shows; Bcc are recipients that it does not. An address that occurs twice
	// gets one mail.
	To, Bcc []string
	// ToComputed are recipients named by the event: templates compiled for template.Text, each of which makes one
	// address, such as {{data.requester.email}}, or nothing. They are in the header. All recipients together are at
	// most 10.
	ToComputed []*template.Template
	// Subject is compiled for template.Header. Text that mail programs would decode or reorder is made harmless, and
	// 255 characters are kept. That of a test event (event.Event.IsTest) begins with "TEST: ". nil = what happened, in
	// one line, as package notice says it.
	Subject *template.Template
	// Text, compiled for template.Text, and HTML, compiled for template.HTML, make the two forms of the body. With Text
	// alone, the mail has no HTML form. nil = what package notice says of the event; with both nil, it has both forms.
	// What a template makes of a test event is not marked but by the subject; it sees the variable test.
	//
	// An event with so much data that Subject, Text or HTML gets beyond the template's limits of steps or output is
	// mailed all the same, with what package notice says in that part's place. A mail that is larger than the relay
	// says it takes is made shorter: text alone, of a title, a summary and a link.
	Text, HTML *template.Template
	// Domain is how we introduce ourselves to the relay (EHLO) and the domain of the Message-ID. "" = that of From.
	Domain string
	// Guard makes the connections and says which addresses are allowed; share one among the channels of a tenant. nil =
	// one of its own that allows public addresses only.
	Guard *netguard.Guard
	// Timeout is the time of one attempt, from looking the relay up to its last reply. 0 = 30 s. An earlier deadline of
	// Send's context wins.
	Timeout time.Duration
	// Progress remembers the recipients of a mail that was delivered to some of them only. nil = a [Memory] of its own:
	// give all channels, and what takes their place after a change of the configuration, the same one, and one in a
	// store that outlives the process where mail must not come twice after a restart or from another worker.
	Progress Progress
	// Logger gets a warning when Relay.TLS switches verification off, when Progress cannot be read or stored, and when
	// the Guard refuses the relay, with the address. nil = slog.Default.
	Logger *slog.Logger
}

// withDefaults returns c with its zero fields filled in.
func (c Config) withDefaults() Config {
	c.Relay = c.Relay.withDefaults()
	if c.Guard == nil {
		c.Guard = new(netguard.Guard)
	}
	if c.Progress == nil {
		c.Progress = NewMemory(MemoryOptions{})
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

// validate returns every problem of a Config besides those of Relay and of what makes the message.
func (c Config) validate() error {
	var errs []error
	if c.Timeout < 0 {
		errs = append(errs, configError(channel.CodeRange, "Timeout", "is negative", "use a positive time, or 0 for 30 s"))
	}
	switch n := len(c.To) + len(c.Bcc) + len(c.ToComputed); {
	case n == 0:
		errs = append(errs, configError(channel.CodeMissing, "To", "names nobody", "give an address, or a template that makes one"))
	case n > maxRecipients:
		errs = append(errs, configError(channel.CodeRange, "To", fmt.Sprintf("names %d recipients, together with those that are hidden or computed", n), fmt.Sprintf("use at most %d, or a mailing list", maxRecipients)))
	}
	for i, t := range c.ToComputed {
		errs = append(errs, templateProblem(fmt.Sprintf("ToComputed[%d]", i), t, template.Text, false))
	}
	errs = append(errs,
		templateProblem("Subject", c.Subject, template.Header, true),
		templateProblem("Text", c.Text, template.Text, true),
		templateProblem("HTML", c.HTML, template.HTML, true))
	return errors.Join(errs...)
}

func templateProblem(field string, t *template.Template, want template.Mode, optional bool) error {
	switch {
	case t == nil && optional:
		return nil
	case t == nil:
		return configError(channel.CodeMissing, field, "is nil", "give a template, or remove it")
	case t.Mode() != want:
		return configError(channel.CodeTemplate, field, "is not a template for this place", "compile it with the mode "+want.String())
	}
	return nil
}

// Format prints the relay's address only, whatever the verb.
func (c Config) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, c.outline()) }

// LogValue is what Format prints; without it a JSON log handler would write the whole Config.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.outline()) }

func (c Config) outline() string {
	r := c.Relay.withDefaults()
	host, err := netguard.ParseHost("Relay.Host", r.Host)
	if err != nil {
		return "email.Config(invalid Relay.Host)"
	}
	return "email.Config(" + joinPort(host, r.Port) + ")"
}

const pkg = "email"

func configError(code channel.ConfigCode, path, problem, remedy string) *channel.ConfigError {
	return &channel.ConfigError{Package: pkg, Path: path, Code: code, Problem: problem, Remedy: remedy}
}
