package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/tocsin-go/tocsin/channel"
)

// StaticBody is b, byte for byte, whatever the event; it is copied. It must be valid UTF-8, and JSON unless
// [Config].ContentType says something else. Receipts show it as it is, so it is no place for credentials.
func StaticBody(b []byte) Body { return Body{source: &staticBody{bytes.Clone(b)}} }

type staticBody struct{ content []byte }

func (b *staticBody) kind() string { return "static" }

func (b *staticBody) contentType() (string, bool) { return jsonType, false }

func (b *staticBody) check(mediaType string) *channel.ConfigError {
	if !utf8.Valid(b.content) {
		return mistake(channel.CodeInvalid, "Body", "is not valid UTF-8", "convert it")
	}
	if !isJSON(mediaType) {
		return nil
	}
	var document json.RawMessage
	err := json.Unmarshal(b.content, &document)
	if err == nil {
		return nil
	}
	where := ""
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		before := b.content[:max(syntax.Offset-1, 0)]
		line := 1 + bytes.Count(before, []byte("\n"))
		column := 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
		where = fmt.Sprintf(" from line %d, column %d on", line, column)
	}
	return mistake(channel.CodeInvalid, "Body", "is not valid JSON"+where, "correct it, or give the content type that it has")
}

func (*staticBody) mayHold(bool) bool { return false }

func (b *staticBody) fill(_ context.Context, _ bodyInput, r *rendering) error {
	r.body = b.content
	return nil
}
