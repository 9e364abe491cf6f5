package sns

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/notice"
	"github.com/tocsin-go/tocsin/retry"
	"github.com/tocsin-go/tocsin/template"
)

// compose makes what is published for d, which has an event. Nothing is sent when it fails.
func (c *Channel) compose(ctx context.Context, d channel.Delivery) (*sns.PublishInput, error) {
	made := func(field string, from *template.Template) (string, error) {
		out, err := from.Render(ctx, nil, d.Event.Decoded())
		if err != nil {
			return "", c.unrendered(ctx, field, err)
		}
		return carried(string(out)), nil
	}
	in := &sns.PublishInput{TopicArn: &c.topic.arn}

	body := ""
	var err error
	if c.body == nil {
		body = carried(string(d.Event.JSON()))
	} else if body, err = made("Body", c.body); err != nil {
		return nil, err
	}
	if body == "" {
		return nil, c.unfit("Body", "is empty")
	}
	in.Message = &body

	if c.subject != nil {
		line, err := made("Subject", c.subject)
		if err != nil {
			return nil, err
		}
		if line = subject(line); line != "" {
			in.Subject = &line
		}
	}

	in.MessageAttributes = make(map[string]types.MessageAttributeValue, mostAttributes)
	put := func(name, value string) {
		if value != "" {
			in.MessageAttributes[name] = types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &value}
		}
	}
	severity := notice.Of(d.Event).Severity.String()
	for i, value := range [...]string{d.ID(), string(d.Event.Type()), severity, d.Event.Tenant(), d.Event.Subject(), d.Route} {
		put(ownAttributes()[i], carried(value))
	}
	for _, a := range c.attributes {
		value, _ := d.Event.Attribute(a.Name)
		if a.Value != nil {
			if value, err = made("Attributes: "+a.Name, a.Value); err != nil {
				return nil, err
			}
		}
		put(a.Name, carried(value))
	}

	if c.topic.fifo || c.group != nil {
		group := defaultGroup(d)
		if c.group != nil {
			if group, err = made("Group", c.group); err != nil {
				return nil, err
			}
		}
		in.MessageGroupId = aws.String(token(group))
	}
	if c.topic.fifo {
		in.MessageDeduplicationId = aws.String(deduplication(d))
	}

	if size(in) > c.maxSize {
		return nil, retry.Permanent(c.newError(KindTooLarge))
	}
	return in, nil
}

// size counts as SNS does: the message and, of every attribute, name, type and value (MessageAttributeValue, API reference).
func size(in *sns.PublishInput) int {
	n := len(*in.Message)
	for name, v := range in.MessageAttributes {
		n += len(name) + len(*v.DataType) + len(*v.StringValue)
	}
	return n
}

// carried replaces what XML 1.0 cannot hold, and so not every subscription: SQS takes U+9, U+A, U+D, U+20 to U+D7FF, U+E000
// to U+FFFD and what is above U+FFFF (SendMessage, API reference). A message must not be lost because somebody wrote another
// character into it.
func carried(s string) string {
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

// subject makes s a subject line: without control characters and those that reorder text, and not too long.
func subject(s string) string {
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

// defaultGroup is the tenant's story that d belongs to.
func defaultGroup(d channel.Delivery) string {
	tenant, about := d.Event.Tenant(), d.Event.Subject()
	switch {
	case tenant != "" && about != "":
		return tenant + "/" + about
	case tenant+about != "":
		return tenant + about
	}
	return string(d.Event.Type())
}

// deduplication names d for the five minutes in which SNS drops a message it has seen: the same for all attempts, another one
// for each time somebody delivers it again on purpose. Delivery.ID has no dot, so no two deliveries share one.
func deduplication(d channel.Delivery) string {
	id := d.ID()
	if d.Generation != 0 {
		id += "." + strconv.FormatInt(d.Generation, 36)
	}
	return token(id)
}

// token returns s if it can be a group or deduplication id, which is 1 to 128 visible ASCII characters (Publish, API
// reference), or else its hash.
func token(s string) string {
	if len(s) <= 128 && visible(s) {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}
