package manage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/dispatcher/config"
	"github.com/tocsin-go/tocsin/event"
)

// Rotation says how the secret changes by which a channel signs.
type Rotation struct {
	Overlap time.Duration // for how long the previous secret signs as well; 0 = 24 h, at most 7 days
	Secret  string        // the new one; "" = one is made
	Force   bool          // end the use of the secret before the previous one, if that is still in use
}

// Rotated is the new secret, which is shown this once.
type Rotated struct {
	Channel       Channel
	Secret        string
	PreviousUntil time.Time
}

const (
	defaultOverlap = 24 * time.Hour
	maxOverlap     = 7 * 24 * time.Hour
)

// RotateSecret changes the secret by which a channel signs. Until PreviousUntil requests are signed with both, so that
// no receiver refuses one. While an earlier rotation has not ended it is a CodeState, unless forced; likewise if the
// channel does not sign, or cannot have two signatures. etag is as in Replace.
func (s *Service) RotateSecret(ctx context.Context, by By, name, etag string, r Rotation) (Rotated, error) {
	overlap := cmp.Or(r.Overlap, defaultOverlap)
	if overlap < 0 || overlap > maxOverlap {
		return Rotated{}, &Error{Code: CodeFields, Fields: []FieldError{{"/overlap", channel.CodeRange, "is out of range", "use at most 7d", 0, 0}}}
	}
	now := time.Now()
	out := Rotated{PreviousUntil: now.Add(overlap).UTC().Truncate(time.Second)}
	var err error
	out.Channel, err = s.changeChannel(ctx, by, edit{typ: event.TypeSecretRotated, channel: name, etag: etag, posted: rotated(),
		change: func(v *view, _ config.Options) (d *config.Document, err error) {
			if v.document().Channel(name) == nil {
				return nil, noChannel(name)
			}
			d, out.Secret, err = v.document().RotateSecret(name, r.Secret, now, out.PreviousUntil, r.Force)
			return d, signingError(err)
		}})
	if err != nil {
		return Rotated{}, err
	}
	return out, nil
}

// RevokePrevious ends the use of the previous secret. Without one it changes nothing.
func (s *Service) RevokePrevious(ctx context.Context, by By, name, etag string) (Channel, error) {
	return s.changeChannel(ctx, by, edit{typ: event.TypeSecretRotated, channel: name, etag: etag,
		change: func(v *view, _ config.Options) (*config.Document, error) {
			if v.document().Channel(name) == nil {
				return nil, noChannel(name)
			}
			d, err := v.document().RevokePrevious(name)
			return d, signingError(err)
		}})
}

// rotated stands for what was given, to tell that secrets changed.
func rotated() any {
	return map[string]any{"channel": map[string]any{"sign": map[string]any{"secret": "", "previous": ""}}}
}

// signingError words why a channel cannot change its secret.
func signingError(err error) error {
	if err == nil {
		return nil
	}
	e, ok := errors.AsType[*config.Error](err)
	switch {
	case !ok:
		return err
	case e.Path == "sign.secret":
		return &Error{Code: CodeFields, Fields: []FieldError{{"/secret", e.Code, e.Problem, e.Remedy, 0, 0}}}
	default:
		return newError(CodeState, fmt.Sprintf("%s %s", e.Path, e.Problem), e.Remedy)
	}
}
