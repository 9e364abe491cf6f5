package sns

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/notice"
	"github.com/tocsin-go/tocsin/template"
)

const (
	longestAttribute = 4 << 10 // of a value that a host or a template makes
	leastBody        = 2 << 10 // of the event that a template is given instead of one whose message is too large
)

// compose makes what is published for d, which has an event. Whatever the event says, there is a message: see Config.
func (c *Channel) compose(ctx context.Context, d channel.Delivery) (*sns.PublishInput, error) {
	in := &sns.PublishInput{TopicArn: &c.topic.arn}
	if err := c.setAttributes(ctx, d, in); err != nil {
		return nil, err
	}
	room := c.maxSize - attributeSize(in)
	body, err := c.renderMessage(ctx, d, room)
	if err != nil {
		return nil, err
	}
	in.Message = &body

	line, err := c.render(ctx, d, "Subject", c.subject, "")
	if err != nil {
		return nil, err
	}
	line = subjectLine(line)
	if d.Event.IsTest() { // which people who get it by e-mail are to see, whatever Body makes
		line = subjectLine(notice.MarkTest(d.Event, cmp.Or(line, notice.Of(d.Event).Title)))
	}
	if line != "" {
		in.Subject = &line
	}
	if c.topic.fifo || c.group != nil {
		group, err := c.render(ctx, d, "Group", c.group, defaultGroup(d))
		if err != nil {
			return nil, err
		}
		in.MessageGroupId = aws.String(idToken(group))
	}
	if c.topic.fifo {
		in.MessageDeduplicationId = aws.String(deduplicationID(d))
	}
	return in, nil
}

// render renders the template of a field; def without one, and when it fails, because no event is worth less than one
// of its parts. See withoutPart for the error.
func (c *Channel) render(ctx context.Context, d channel.Delivery, field string, from *template.Template, def string) (string, error) {
	if from == nil {
		return def, nil
	}
	out, err := from.Render(ctx, nil, d.Event.Decoded())
	if err != nil {
		return def, c.withoutPart(ctx, d, field, err)
	}
	return xmlText(string(out)), nil
}

// withoutPart logs that a template failed for an event, which is published all the same. It is an error for a test
// event, since its author waits to correct the template, and when the context is done.
func (c *Channel) withoutPart(ctx context.Context, d channel.Delivery, field string, err error) error {
	failed := c.templateError(ctx, field, err)
	if d.Event.IsTest() || ctx.Err() != nil {
		return failed
	}
	c.logger.WarnContext(ctx, "sns publishes an event without what a template could not make",
		"route", d.Route.Name, "tenant", d.Route.Tenant, "event_id", d.Event.ID(), "error", failed)
	return nil
}

func (c *Channel) setAttributes(ctx context.Context, d channel.Delivery, in *sns.PublishInput) error {
	in.MessageAttributes = make(map[string]types.MessageAttributeValue, mostAttributes)
	set := func(name, value string) {
		if value != "" {
			in.MessageAttributes[name] = types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &value}
		}
	}
	severity := notice.Of(d.Event).Severity.String()
	subject, test := d.Event.Subject(), ""
	if d.Event.IsTest() {
		subject, test = "", "true"
	}
	for i, value := range [...]string{d.ID(), string(d.Event.Type()), severity, d.Event.Tenant(), subject, d.Route.Name, test} {
		set(ownAttributes()[i], xmlText(value))
	}
	for _, a := range c.attributes {
		value, _ := d.Event.Attribute(a.Name)
		if a.Value != nil {
			value = ""
		}
		value, err := c.render(ctx, d, "Attributes: "+a.Name, a.Value, value)
		if err != nil {
			return err
		}
		set(a.Name, notice.TruncateBytes(xmlText(value), longestAttribute))
	}
	return nil
}

// renderMessage makes a message of at most room bytes. One that is longer is made again from an event with shorter
// texts.
func (c *Channel) renderMessage(ctx context.Context, d channel.Delivery, room int) (string, error) {
	if c.body == nil {
		return xmlText(string(d.Event.Shorten(room).JSON())), nil
	}
	given := d.Event
	for size := len(d.Event.JSON()); ; given = d.Event.Shorten(size) {
		out, err := c.body.Render(ctx, nil, given.Decoded())
		body := xmlText(string(out))
		switch {
		case err == nil && body == "":
			err = errEmpty
		case err == nil && len(body) > room && c.body.Mode() == template.Text:
			return notice.TruncateBytes(body, room), nil
		case err == nil && len(body) > room:
			err = errTooLong
		case err == nil:
			return body, nil
		}
		if size /= 2; size < leastBody || !isTooLong(err) {
			// What the template may withhold on purpose is withheld here as well.
			return xmlText(string(d.Event.Shorten(0).JSON())), c.withoutPart(ctx, d, "Body", err)
		}
	}
}

// isTooLong reports whether a template may succeed with shorter texts.
func isTooLong(err error) bool {
	r, ok := errors.AsType[*template.RenderError](err)
	return errors.Is(err, errTooLong) || ok && (r.Kind == template.KindSize || r.Kind == template.KindSteps)
}

// What is wrong with a message that a template made without an error.
var (
	errEmpty   = errors.New("what it made is empty")
	errTooLong = errors.New("what it made is larger than MaxSize allows")
)

// attributeSize counts as SNS does: of every attribute name, type and value (MessageAttributeValue, API reference).
func attributeSize(in *sns.PublishInput) int {
	n := 0
	for name, v := range in.MessageAttributes {
		n += len(name) + len(*v.DataType) + len(*v.StringValue)
	}
	return n
}

// xmlText replaces what XML 1.0 cannot hold, and so not every subscription: SQS takes U+9, U+A, U+D, U+20 to U+D7FF,
// U+E000 to U+FFFD and what is above U+FFFF (SendMessage, API reference). A message must not be lost because of another
// character in it.
func xmlText(s string) string {
	foreign := func(r rune) bool {
		return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == '\ufffe' || r == '\uffff'
	}
	if !strings.ContainsFunc(s, foreign) {
		return strings.ToValidUTF8(s, string(utf8.RuneError))
	}
	return strings.Map(func(r rune) rune {
		if foreign(r) {
			return utf8.RuneError
		}
		return r
	}, s)
}

// longestSubject is in UTF-16 units, the strictest way to count characters: the API reference wants less than 100.
const longestSubject = 99

// subjectLine makes s a subject line: without control characters and those that reorder text, and not too long.
func subjectLine(s string) string {
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Bidi_Control, r):
			return -1
		case unicode.IsControl(r), unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r):
			return ' '
		}
		return r
	}, s))
	return notice.TruncateUTF16(s, longestSubject)
}

// defaultGroup is what d's event is about. The events of a tenant that are about nothing are a group as well, which is
// named as no correlation id is: none begins with "~".
func defaultGroup(d channel.Delivery) string {
	if d.Event.Subject() != "" || d.Event.IsTest() {
		return d.Event.CorrelationID(longestToken)
	}
	sum := sha256.Sum256([]byte(d.Event.Tenant()))
	return "~" + hex.EncodeToString(sum[:])
}

// longestToken is how long a group or deduplication id may be (Publish, API reference).
const longestToken = 128

// deduplicationID names d for the five minutes in which SNS drops a message it has seen: the same for all attempts,
// another one for each redelivery on purpose. Delivery.ID has no dot, so no two deliveries share
// one.
func deduplicationID(d channel.Delivery) string {
	id := d.ID()
	if d.Generation != 0 {
		id += "." + strconv.FormatInt(d.Generation, 36)
	}
	return idToken(id)
}

// idToken returns s if it can be a group or deduplication id, which is 1 to 128 visible ASCII characters, or else its
// hash.
func idToken(s string) string {
	if len(s) <= longestToken && isVisibleASCII(s) {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}
