package sns

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

// Config describes a topic and what is published to it. Everything but TopicARN may be left zero. Templates see the
// event's decoded form and may be shared by any number of channels.
//
// Every event is published, whatever somebody wrote into it. The longest texts are cut, with a mark, until the message
// fits MaxSize: see event.Event.Shorten. When a template cannot make its part from an event, the message is the event's
// JSON form without data and attributes, the group is the default, another part is left out, and the Logger gets a
// warning. For a test event (see event.Event.ForTest) that is a permanent error of kind [KindRender] instead, and
// nothing is sent.
type Config struct {
	// TopicARN is the topic, for example "arn:aws:sns:eu-west-1:123456789012:access-events". Required. Its region is the
	// one that is called and signed for.
	TopicARN string
	// Credentials sign the requests. The zero value is the SDK's default chain.
	Credentials Credentials
	// Body makes the message: a template compiled for template.JSON or template.Text, which must not make an empty one.
	// Receipts show it, so it is no place for credentials. nil = the event's JSON form as it is.
	Body *template.Template
	// Subject makes the subject line of e-mails to subscribers, compiled for template.Header. It is cut to 99 characters;
	// an empty one is left out. nil = none.
	Subject *template.Template
	// Attributes are sent besides those that every message has, at most 4. Values are cut to 4 KiB.
	Attributes []Attribute
	// Group makes the MessageGroupId, compiled for template.Header. Messages of a group are delivered in order. What is
	// not 1 to 128 visible ASCII characters is hashed. nil = the event's correlation id, see event.Event.CorrelationID;
	// the events of a tenant that have no subject are one group. A standard topic gets a group only if there is a Group
	// (for fair queues).
	Group *template.Template
	// MaxSize is the largest message in bytes, its attributes included, at least 32 KiB, and up to 1 MiB if the topic's
	// MaximumMessageSize says so. A text message is cut, a JSON message made of shorter texts. 0 = 256 KiB.
	MaxSize int
	// Endpoint is called in place of the region's: an origin such as
	// "https://vpce-0a1b-2c3d.sns.eu-west-1.vpce.amazonaws.com" or that of an emulator, without path and query. The Guard
	// judges it like any other destination.
	Endpoint string
	// Guard makes the connections to the endpoint and says which addresses are allowed. nil = one of its own that allows
	// public addresses only. Credentials are not fetched through it, see the package's documentation.
	Guard *netguard.Guard
	// Limits say what Endpoint may be. The zero value is HTTPS only, any port.
	Limits netguard.Limits
	// TLS says how the endpoint is verified. The zero value verifies it with the system's roots.
	TLS netguard.TLS
	// Proxy is an HTTP proxy to send through. nil = none; the environment's is ignored, but for fetching credentials.
	Proxy *netguard.Proxy
	// Timeouts limit the phases of a request; Total also covers making the message and fetching the credentials. A
	// deadline of Send's context that is earlier wins.
	Timeouts netguard.Timeouts
	// Logger gets a warning when TLS switches verification off, and when a template fails. nil = slog.Default.
	Logger *slog.Logger
}

const (
	defaultMaxSize = 256 << 10
	largestMaxSize = 1 << 20
	leastMaxSize   = 32 << 10 // room for all attributes and an event without data
	defaultTotal   = 30 * time.Second
)

// withDefaults returns c with its zero fields filled in.
func (c Config) withDefaults() Config {
	if c.MaxSize == 0 {
		c.MaxSize = defaultMaxSize
	}
	if c.Timeouts.Total == 0 {
		c.Timeouts.Total = defaultTotal
	}
	if c.Guard == nil {
		c.Guard = new(netguard.Guard)
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

// check returns every problem of a Config with its defaults filled in, besides those of TopicARN, Endpoint and the
// connection.
func (c Config) check() error {
	var errs []error
	if c.MaxSize < leastMaxSize || c.MaxSize > largestMaxSize {
		errs = append(errs, mistake(channel.CodeRange, "MaxSize", "is not a size from 32 KiB to 1 MiB", "use 0 for 256 KiB"))
	}
	if c.Body != nil && c.Body.Mode() != template.JSON && c.Body.Mode() != template.Text {
		errs = append(errs, mistake(channel.CodeTemplate, "Body", "is not a template for JSON or text", "compile it for one of them"))
	}
	if c.Subject != nil && c.Subject.Mode() != template.Header {
		errs = append(errs, mistake(channel.CodeTemplate, "Subject", "is not a template for one line", "compile it for a header"))
	}
	if c.Group != nil && c.Group.Mode() != template.Header {
		errs = append(errs, mistake(channel.CodeTemplate, "Group", "is not a template for one line", "compile it for a header"))
	}
	errs = append(errs, checkAttributes(c.Attributes), c.Credentials.check())
	return errors.Join(errs...)
}

// Format prints the topic only, whatever the verb.
func (c Config) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, c.outline()) }

// LogValue is what Format prints; without it a JSON log handler would write the whole Config.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.outline()) }

func (c Config) outline() string {
	t, problem := parseTopic(c.TopicARN)
	if problem != "" {
		return "sns.Config(invalid TopicARN)"
	}
	return "sns.Config(" + t.arn + ")"
}
