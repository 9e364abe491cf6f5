package slack

import (
	"log/slog"
	"strings"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/template"
)

// Options are what both kinds of channel have in common. The zero value is ready for use.
type Options struct {
	// Template makes the message instead of the built-in one, from the event's decoded form.
	//
	// Compiled for template.Slack it makes the text in Slack's mrkdwn, where values cannot mention, link or date
	// anything. Names of channels and addresses become links only where the template writes them as such:
	// <https://…|text>. Text that is too long for a message is cut, and ends with "…".
	//
	// Compiled for template.JSON it makes the whole message, an object with blocks for example; a "text" for
	// notifications is added if there is none, and where the message goes: a template that says so itself, with
	// "channel" or "thread_ts", is refused. In mrkdwn parts of it values need the helper slack: {"text": "*{{slack
	// data.justification}}*"}.
	//
	// An event is posted in the built-in form when the template makes nothing of it, or more than its limits allow, or
	// what is no JSON object, or what Slack does not take, such as an empty text in a block or more than 3000
	// characters; the last costs a second request. For a test event (event.Event.ForTest) a template that fails is a
	// permanent error of kind webhook.KindRender instead, and nothing is sent; what it makes is posted below a line
	// that says TEST. That line is left out where Slack would not take it, above 50 blocks for example.
	Template *template.Template
	// Interval is the least time between two messages. A delivery that comes sooner is not tried but postponed, see
	// [ErrPaced]. 0 = 1 s, which is what Slack allows for a channel; negative = none. A route whose Rate is one event a
	// second spares the queue those attempts.
	Interval time.Duration
	// Guard makes the connections and says which addresses are allowed; share one among the channels of a tenant. nil =
	// one of its own that allows public addresses only.
	Guard *netguard.Guard
	// Limits say what the URL may be. The zero value is HTTPS only.
	Limits netguard.Limits
	// TLS says how Slack is verified. The zero value verifies it with the system's roots.
	TLS netguard.TLS
	// Proxy is an HTTP proxy to send through. nil = none; the environment's is ignored.
	Proxy *netguard.Proxy
	// Timeouts limit the phases of each request and the whole of it, the template included. A deadline of Send's
	// context that is earlier wins.
	Timeouts netguard.Timeouts
	// Logger gets a warning when TLS switches verification off, a reference cannot be read or stored, an event is not
	// posted as the template says, or the Guard refuses the destination. nil = slog.Default.
	Logger *slog.Logger
}

// largestAnswer is enough for a response of the Web API, which repeats the message in Slack's own, longer words.
const largestAnswer = 256 << 10

func (o Options) withDefaults() Options {
	if o.Interval == 0 {
		o.Interval = defaultInterval
	}
	if o.Guard == nil {
		o.Guard = new(netguard.Guard)
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}

func (o Options) validate() error {
	if o.Template != nil && o.Template.Mode() != template.Slack && o.Template.Mode() != template.JSON {
		return configError(channel.CodeTemplate, "Template", "is neither for Slack nor for JSON", "compile it for one of them")
	}
	if o.Template != nil && o.Template.Mode() == template.JSON {
		if fields := templatePlacement(o.Template); len(fields) > 0 {
			return configError(channel.CodeTemplate, "Template", "says where the message goes, with "+strings.Join(fields, " and "), "remove it: a webhook belongs to one channel, and an app posts to the one that is configured")
		}
	}
	return nil
}

// composer makes the messages.
func (o Options) composer() composer {
	timeout := o.Timeouts.Total
	if timeout <= 0 {
		timeout = defaultTotal
	}
	return composer{o.Template, timeout, o.Logger}
}

// defaultTotal is that of netguard.Timeouts.
const defaultTotal = 30 * time.Second

// withConnection fills in how Slack is reached.
func (o Options) withConnection(c webhook.Config) webhook.Config {
	c.Guard, c.Limits, c.TLS, c.Proxy, c.Timeouts, c.Logger = o.Guard, o.Limits, o.TLS, o.Proxy, o.Timeouts, o.Logger
	c.MaxResponse = largestAnswer
	return c
}

const pkg = "slack"

func configError(code channel.ConfigCode, path, problem, remedy string) *channel.ConfigError {
	return &channel.ConfigError{Package: pkg, Path: path, Code: code, Problem: problem, Remedy: remedy}
}
