package email

import (
	"bytes"
	"context"
	"errors"
	netmail "net/mail"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/wneessen/go-mail"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/notice"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/template"
)

// composer makes messages from events.
type composer struct {
	from       string
	fromName   string
	replyTo    string // "" = none
	domain     string
	recipients recipients
	subject    *template.Template // nil, as with text and html: from package notice
	text, html *template.Template
	page       *template.Template // of pageSource
}

// message is a mail to be sent.
type message struct {
	wire       []byte // with CRLF
	recipients []recipient
	brief      func() []byte // makes a shorter form; nil = it cannot
}

const maxFromName = 100

// newComposer takes a Config with its defaults filled in.
func newComposer(c *Config) (*composer, error) {
	var errs []error
	refuse := func(code channel.ConfigCode, field, problem, remedy string) {
		errs = append(errs, mistake(code, field, problem, remedy))
	}
	l := &composer{fromName: c.FromName, subject: c.Subject, text: c.Text, html: c.HTML}

	from, wrong := parseAddress(c.From)
	if wrong != "" {
		refuse(codeOf(c.From), "From", wrong, addressRemedy)
	}
	l.from = from
	switch {
	case !utf8.ValidString(c.FromName) || oneLine(c.FromName) != c.FromName:
		refuse(channel.CodeInvalid, "FromName", "has characters that no header may have, blanks at an end or two in a row, or =?", "remove them")
	case utf8.RuneCountInString(c.FromName) > maxFromName:
		refuse(channel.CodeRange, "FromName", "has more than 100 characters", "shorten it")
	}
	if c.ReplyTo != "" {
		if l.replyTo, wrong = parseAddress(c.ReplyTo); wrong != "" {
			refuse(channel.CodeInvalid, "ReplyTo", wrong, addressRemedy)
		}
	}
	if c.Domain != "" {
		if l.domain, wrong = checkName(c.Domain); wrong != "" {
			refuse(channel.CodeInvalid, "Domain", wrong, "write a host name of yours, such as tocsin.example.com")
		}
	} else {
		l.domain = from[strings.LastIndexByte(from, '@')+1:]
	}

	var refused []error
	l.recipients, refused = newRecipients(c)
	page, err := defaultPage()
	l.page = page
	return l, errors.Join(append(append(errs, refused...), err)...)
}

// writeError says which field of Config cannot make its part from an event.
type writeError struct {
	field string
	err   error
}

func (e *writeError) Error() string { return e.field + ": " + e.err.Error() }
func (e *writeError) Unwrap() error { return e.err }

var (
	errNoRecipient = errors.New("no recipient is left")
	errNotWire     = errors.New("the message has a line or a character that must not be sent")
)

// write makes the message for d. The error is a *writeError, errNoRecipient or errNotWire.
func (l *composer) write(ctx context.Context, d channel.Delivery) (*message, error) {
	to, err := l.recipients.of(ctx, d.Event)
	if err != nil {
		return nil, err
	}
	if !anyValid(to) {
		return nil, errNoRecipient
	}
	n := notice.Of(d.Event)
	subject, err := l.makeSubject(ctx, d.Event, n)
	if err != nil {
		return nil, err
	}
	text, html, err := l.makeBody(ctx, d.Event, n)
	if err != nil {
		return nil, err
	}

	wire, err := l.assemble(d, to, subject, text, html)
	if err != nil {
		return nil, err
	}
	return &message{wire, to, func() []byte { return l.brief(d, to, n) }}, nil
}

// brief is the form for a relay that does not take the whole; nil = it cannot be made.
func (l *composer) brief(d channel.Delivery, to []recipient, n notice.Notice) []byte {
	n.Facts = nil
	subject := oneLine(notice.Truncate(oneLine(n.Title), maxSubject))
	wire, err := l.assemble(d, to, subject, cleanLines(n.Text())+"\nThe details are more than the mail server takes.\n", "")
	if err != nil {
		return nil
	}
	return wire
}

// assemble makes the message of its parts. html is "" when there is none.
func (l *composer) assemble(d channel.Delivery, to []recipient, subject, text, html string) ([]byte, error) {
	m := mail.NewMsg(mail.WithNoDefaultUserAgent(), mail.WithCharset(mail.CharsetUTF8), mail.WithEncoding(mail.EncodingQP))
	m.SetMessageIDWithValue(messageID(d, l.domain))
	m.SetDateWithValue(time.Now().UTC()) // a local time zone says where we are
	m.FromMailAddress(&netmail.Address{Name: l.fromName, Address: l.from})
	if l.replyTo != "" {
		m.ReplyToMailAddress(&netmail.Address{Address: l.replyTo})
	}
	shown := visible(to)
	m.ToMailAddress(shown...)
	if len(shown) == 0 {
		m.SetGenHeader("To", "undisclosed-recipients:;") // RFC 5322 section 3.4, an empty group
	}
	m.Subject(subject)
	m.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: nobody's absence is to be answered
	if thread := threadID(d.Event, l.domain); thread != "" {
		m.SetGenHeader(mail.HeaderInReplyTo, "<"+thread+">")
		m.SetGenHeader(mail.HeaderReferences, "<"+thread+">")
	}
	m.SetBodyString(mail.TypeTextPlain, text)
	if html != "" {
		m.AddAlternativeString(mail.TypeTextHTML, html)
	}
	var wire bytes.Buffer
	if _, err := m.WriteTo(&wire); err != nil {
		return nil, errNotWire
	}
	if !bytes.HasSuffix(wire.Bytes(), []byte("\r\n")) { // after a text alone
		wire.WriteString("\r\n")
	}
	if !fitForWire(wire.Bytes()) {
		return nil, errNotWire
	}
	return wire.Bytes(), nil
}

func anyValid(to []recipient) bool {
	for _, r := range to {
		if r.address != "" {
			return true
		}
	}
	return false
}

// visible are the recipients whom the header names.
func visible(to []recipient) []*netmail.Address {
	var shown []*netmail.Address
	for _, r := range to {
		if r.address != "" && !r.hidden {
			shown = append(shown, &netmail.Address{Address: r.address})
		}
	}
	return shown
}

func (l *composer) makeSubject(ctx context.Context, e event.Event, n notice.Notice) (string, error) {
	subject := n.Title
	if l.subject != nil {
		made, err := l.subject.Render(ctx, nil, e.Decoded())
		switch {
		case err == nil:
			subject = string(made)
		case !tooMuch(err):
			return "", &writeError{"Subject", err}
		}
	}
	if subject = oneLine(notice.Truncate(oneLine(subject), maxSubject)); subject == "" {
		subject = string(e.Type()) // a mail without a subject looks like one that is not wanted
	}
	return subject, nil
}

// makeBody makes the two forms; html is "" when there is none.
func (l *composer) makeBody(ctx context.Context, e event.Event, n notice.Notice) (text, html string, err error) {
	text = n.Text()
	if l.text != nil {
		out, err := l.text.Render(ctx, nil, e.Decoded())
		switch {
		case err == nil:
			text = string(out)
		case !tooMuch(err):
			return "", "", &writeError{"Text", err}
		}
	}
	text = cleanLines(text)
	if l.html == nil && l.text != nil {
		return text, "", nil
	}
	var out []byte
	if l.html != nil {
		out, err = l.html.Render(ctx, nil, e.Decoded())
	}
	if l.html == nil || tooMuch(err) {
		out, err = l.page.Render(ctx, nil, pageData(n))
	}
	if err != nil {
		return "", "", &writeError{"HTML", err}
	}
	return text, cleanLines(string(out)), nil
}

// tooMuch reports whether a template got beyond its limits, which is up to the event's data.
func tooMuch(err error) bool {
	r, ok := errors.AsType[*template.RenderError](err)
	return ok && (r.Kind == template.KindSize || r.Kind == template.KindSteps)
}

// messageID is the same for all attempts, so that mailboxes recognise a repetition. A redelivery on purpose must not be
// taken for one.
func messageID(d channel.Delivery, domain string) string {
	id := d.ID()
	at := len(id) - len("_0123456789abcdef") // event and route
	id = id[:at] + "." + id[at+1:]
	if d.Generation != 0 {
		id += "." + strconv.FormatInt(d.Generation, 36)
	}
	return id + "@" + domain
}
