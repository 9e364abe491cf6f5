package webhook

import (
	"context"
	"slices"
	"unicode/utf8"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/secret"
)

// BodyFunc is what f makes of a delivery. f is called once per attempt, from many goroutines at once; it must not
// modify or retain what it is given, and what it returns must be valid UTF-8 and is not used by f any more.
//
// The texts of the given secrets, for receivers that want a credential in the body, are passed to f in their order.
// Only so are they asked for with every attempt, hidden in receipts and errors, and found by channeltest.RunLeaks; a
// secret that f knows by itself is none of that. Each has at least 8 characters.
//
// An error of f is a permanent error of kind [KindRender]. Its text is shown, on one line and without the secrets, so
// it should say what is wrong with the event without quoting it; the error itself cannot be reached.
func BodyFunc(contentType string, f func(d channel.Delivery, secrets []string) ([]byte, error), secrets ...secret.Value) Body {
	return Body{&funcBody{contentType, f}, slices.Clone(secrets)}
}

type funcBody struct {
	media string
	f     func(channel.Delivery, []string) ([]byte, error)
}

func (b *funcBody) kind() string { return "func" }

func (b *funcBody) contentType() (string, bool) {
	if b.media == "" {
		return jsonType, false
	}
	return b.media, false
}

func (b *funcBody) check(string) *channel.ConfigError {
	if b.f == nil {
		return mistake(channel.CodeMissing, "Body", "is a function that is nil", "give one")
	}
	return nil
}

func (*funcBody) mayHold(bool) bool { return true }

func (b *funcBody) fill(_ context.Context, in bodyInput, r *rendering) error {
	made, err := b.f(in.delivery, in.secrets)
	if err != nil {
		return err
	}
	if !utf8.Valid(made) {
		return &invalidBodyError{"what it made is not valid UTF-8"}
	}
	r.body = made
	return nil
}
