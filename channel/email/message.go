package email

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	netmail "net/mail"
	"strconv"
	"strings"
	"time"
	"unicode"
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
	shorter    func() []byte // makes a shorter form; nil = it cannot
}

const maxFromName = 100

// newComposer takes a Config with its defaults filled in.
func newComposer(c *Config) (*composer, error) {
	l := &composer{fromName: c.FromName, subject: c.Subject, text: c.Text, html: c.HTML}
	var errs []error
	refuse := func(path, problem, remedy string, code channel.ConfigCode) {
		if problem != "" {
			errs = append(errs, configError(code, path, problem, remedy))
		}
	}
	var problem string
	l.from, problem = parseAddress(c.From)
	refuse("From", problem, addressRemedy, codeFor(c.From))
	switch {
	case !utf8.ValidString(c.FromName) || oneLine(c.FromName) != c.FromName:
		refuse("FromName", "has characters that no header may have, blanks at an end or two in a row, or =?", "remove them", channel.CodeInvalid)
	case utf8.RuneCountInString(c.FromName) > maxFromName:
		refuse("FromName", "has more than 100 characters", "shorten it", channel.CodeRange)
	}
	if c.ReplyTo != "" {
		l.replyTo, problem = parseAddress(c.ReplyTo)
		refuse("ReplyTo", problem, addressRemedy, channel.CodeInvalid)
	}
	l.domain = l.from[strings.LastIndexByte(l.from, '@')+1:]
	if c.Domain != "" {
		l.domain, problem = parseHostName(c.Domain)
		refuse("Domain", problem, "write a host name of yours, such as tocsin.example.com", channel.CodeInvalid)
	}
	var recipientsErr, pageErr error
	l.recipients, recipientsErr = newRecipients(c)
	l.page, pageErr = defaultPage()
	return l, errors.Join(append(errs, recipientsErr, pageErr)...)
}

// templateError says which field of Config cannot make its part from an event.
type templateError struct {
	field string
	err   error
}

func (e *templateError) Error() string { return e.field + ": " + e.err.Error() }
func (e *templateError) Unwrap() error { return e.err }

var (
	errNoRecipient = errors.New("no recipient is left")
	errNotWire     = errors.New("the message has a line or a character that must not be sent")
)

// compose makes the message for d. The error is a *templateError, errNoRecipient or errNotWire.
func (l *composer) compose(ctx context.Context, d channel.Delivery) (*message, error) {
	to, err := l.recipients.of(ctx, d.Event)
	if err != nil {
		return nil, err
	}
	if !anyValid(to) {
		return nil, errNoRecipient
	}
	n := notice.Of(d.Event)
	subject, err := l.renderSubject(ctx, d.Event, n)
	if err != nil {
		return nil, err
	}
	text, html, err := l.renderBody(ctx, d.Event, n)
	if err != nil {
		return nil, err
	}

	wire, err := l.build(d, to, subject, text, html)
	if err != nil {
		return nil, err
	}
	return &message{wire, to, func() []byte { return l.shorter(d, to, n) }}, nil
}

// shorter is the form for a relay that does not take the whole; nil = it cannot be made.
func (l *composer) shorter(d channel.Delivery, to []recipient, n notice.Notice) []byte {
	n.Facts = nil
	subject := oneLine(notice.Truncate(oneLine(n.Title), maxSubject))
	wire, err := l.build(d, to, subject, cleanText(n.Text())+"\nThe details are more than the mail server takes.\n", "")
	if err != nil {
		return nil
	}
	return wire
}

// build makes the message of its parts. html is "" when there is none.
func (l *composer) build(d channel.Delivery, to []recipient, subject, text, html string) ([]byte, error) {
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
	m.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no out-of-office reply
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
	if !isValidWire(wire.Bytes()) {
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

func (l *composer) renderSubject(ctx context.Context, e event.Event, n notice.Notice) (string, error) {
	subject, ok, err := tryRender(ctx, "Subject", l.subject, e)
	if err != nil {
		return "", err
	}
	if !ok {
		subject = n.Title
	}
	if subject = oneLine(subject); subject == "" {
		subject = string(e.Type()) // a mail without a subject looks like one that is not wanted
	}
	return oneLine(notice.Truncate(notice.MarkTest(e, subject), maxSubject)), nil
}

// renderBody makes the two forms; html is "" when there is none.
func (l *composer) renderBody(ctx context.Context, e event.Event, n notice.Notice) (text, html string, err error) {
	text, ok, err := tryRender(ctx, "Text", l.text, e)
	if err != nil {
		return "", "", err
	}
	if !ok {
		text = n.Text()
	}
	if text = cleanText(text); l.html == nil && l.text != nil {
		return text, "", nil
	}
	if html, ok, err = tryRender(ctx, "HTML", l.html, e); err == nil && !ok {
		var page []byte
		if page, err = l.page.Render(ctx, nil, pageData(n)); err != nil {
			err = &templateError{"HTML", err}
		}
		html = string(page)
	}
	return text, cleanText(html), err
}

// tryRender renders a template of Config. ok is false when there is none, or when it exceeds its limits, which is up to
// the event's data.
func tryRender(ctx context.Context, field string, t *template.Template, e event.Event) (text string, ok bool, err error) {
	if t == nil {
		return "", false, nil
	}
	out, err := t.Render(ctx, nil, e.Decoded())
	if r, limits := errors.AsType[*template.RenderError](err); limits && (r.Kind == template.KindSize || r.Kind == template.KindSteps) {
		return "", false, nil
	}
	if err != nil {
		return "", false, &templateError{field, err}
	}
	return string(out), true, nil
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

// threadID names the thread of an event's subject; "" = the event has none, or is a test. It is the id of a message
// that does not exist, to which all of the thread refer: nothing need be remembered, and it does not matter which of
// them arrives first. It is a digest, because a subject may be anything, and a tenant's name is confidential.
func threadID(e event.Event, domain string) string {
	if e.Subject() == "" || e.IsTest() { // a test does not join what is real
		return ""
	}
	sum := sha256.Sum256([]byte(strconv.Quote(e.Tenant()) + strconv.Quote(e.Subject())))
	return "thread." + hex.EncodeToString(sum[:16]) + "@" + domain
}

// maxSubject is in characters.
const maxSubject = 255

// maxLine is the longest line without its CRLF, RFC 5322 section 2.1.1.
const maxLine = 998

// oneLine makes a header value of s: no character that ends, hides or reorders text, single blanks, and nothing that a
// mail program would decode (RFC 2047) and so turn into such a character after all.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r), unicode.IsControl(r), r == '\u2028', r == '\u2029':
			return ' '
		case isBidiControl(r), r == '\u200b', r == '\u2060', r == '\ufeff':
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
	s = strings.ReplaceAll(s, "=?", "= ?")
	return strings.Join(strings.Fields(s), " ")
}

// cleanText makes a body of s: lines that end with a line feed alone, which the encoder writes as CRLF, and no
// character that a terminal would obey or that isBidiControl text.
func cleanText(s string) string {
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.ToValidUTF8(s, "\ufffd"))
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' || isBidiControl(r) {
			return -1
		}
		return r
	}, s)
}

// isBidiControl reports whether r is one of the embeddings, overrides and isolates by which text can be shown in
// another order than it is read. Right-to-left scripts do without them.
func isBidiControl(r rune) bool {
	return r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
}

// isValidWire reports whether a finished message may be sent: lines of at most 998 bytes that end with CRLF, no CR or
// LF elsewhere, and visible ASCII, blanks and tabs in them. Servers disagree about anything else, and what one takes
// for text is a command to the next.
func isValidWire(wire []byte) bool {
	for len(wire) > 0 {
		end := bytes.Index(wire, []byte("\r\n"))
		if end < 0 {
			return false
		}
		if end > maxLine {
			return false
		}
		for _, b := range wire[:end] {
			if b != '\t' && (b < ' ' || b > '~') {
				return false
			}
		}
		wire = wire[end+2:]
	}
	return true
}
