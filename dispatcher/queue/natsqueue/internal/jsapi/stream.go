package jsapi

import (
	"context"
	"errors"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"
)

// VersionKey is where the metadata of a stream say which version of its package made it.
const VersionKey = "tocsin.version"

// VersionError says that a stream was made by a newer version, or by somebody else. It was not changed.
type VersionError struct{ Found string } // "" = it has none

func (e *VersionError) Error() string { return "version " + strconv.Quote(e.Found) + " is not known" }

// EnsureStream makes a stream, or finds it, and updates it unless same says that it is as wanted: an update disturbs a
// stream that is in use, even one that changes nothing. want has its version at VersionKey; a stream of a newer one, or
// without one, is a *VersionError.
func EnsureStream(
	ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig, same func(have, want jetstream.StreamConfig) bool,
) (jetstream.Stream, error) {
	find := func(ctx context.Context) (jetstream.Stream, error) { return js.Stream(ctx, want.Name) }
	stream, err := Retry(ctx, find)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = Retry(ctx, func(ctx context.Context) (jetstream.Stream, error) { return js.CreateStream(ctx, want) })
		if !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			return stream, err
		}
		stream, err = Retry(ctx, find) // another process was faster, with another configuration
	}
	if err != nil {
		return nil, err
	}
	have := stream.CachedInfo().Config
	found := have.Metadata[VersionKey]
	latest, _ := strconv.Atoi(want.Metadata[VersionKey])
	if version, err := strconv.Atoi(found); err != nil || version > latest {
		return nil, &VersionError{Found: found}
	}
	if same(have, want) {
		return stream, nil
	}
	return Retry(ctx, func(ctx context.Context) (jetstream.Stream, error) { return js.UpdateStream(ctx, want) })
}
