package event_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/event"
)

func TestDecode(t *testing.T) {
	t.Parallel()
	want := event.GrantRevoked{
		Grant: event.Grant{
			AccessRequest: event.AccessRequest{
				ID: "r-1", Requester: event.Person{Name: "Ada"}, CreationDate: event.At(time.Unix(1, 23)),
			},
			Granted: event.Granted{ID: "g-1", ExpiresAt: event.At(time.Unix(-1, 1))},
		},
		Reason: "done",
	}
	e := event.Must(want, event.Meta{})
	got, err := event.Decode[event.GrantRevoked](e)
	require.NoError(t, err)
	assert.Equal(t, want, got)

	pointer, err := event.Decode[*event.GrantRevoked](e)
	require.NoError(t, err)
	assert.Equal(t, &want, pointer)

	f := event.Must(facts{"a": "b"}, event.Meta{})
	decoded, err := event.Decode[facts](f)
	require.NoError(t, err)
	assert.Equal(t, facts{"a": "b"}, decoded)
}

// strict decodes into a Go type that the data of the tests below does not fit.
type strict struct {
	N struct{ Count int8 } `json:"n"`
	T event.Timestamp      `json:"t"`
}

func (strict) EventType() event.Type { return "host.anything" }

type counts map[string]int

func (counts) EventType() event.Type { return "host.anything" }

type explosive struct{}

func (explosive) EventType() event.Type       { return "host.anything" }
func (*explosive) UnmarshalJSON([]byte) error { panic(marker) }

type refusing struct{}

func (refusing) EventType() event.Type       { return "host.anything" }
func (*refusing) UnmarshalJSON([]byte) error { return errMarker }

var errMarker = &markedError{}

type markedError struct{}

func (*markedError) Error() string { return marker }

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	with := func(v any) event.Event { return event.Must(anything{v}, event.Meta{}) }
	tests := map[string]struct {
		decode  func() (any, error)
		zero    any
		field   string
		problem string
	}{
		"zero event": {func() (any, error) { return event.Decode[note](event.Event{}) }, note{}, "event", "zero"},
		"other type": {
			func() (any, error) {
				return event.Decode[event.RequestDenied](event.Must(event.RequestApproved{}, event.Meta{}))
			},
			event.RequestDenied{}, "type", "is request.approved, not request.denied",
		},
		"an interface": {
			func() (any, error) { return event.Decode[event.Payload](with(map[string]any{})) },
			nil, "data", "interface",
		},
		"wrong kind": {
			func() (any, error) {
				return event.Decode[strict](with(map[string]any{"n": map[string]any{"Count": marker}}))
			},
			strict{}, "data.n.Count", "int8",
		},
		"wrong map value": {
			func() (any, error) { return event.Decode[counts](with(map[string]any{"a": marker})) },
			counts(nil), "data", "int",
		},
		"too large": {
			func() (any, error) {
				return event.Decode[strict](with(map[string]any{"n": map[string]any{"Count": 7777}}))
			},
			strict{}, "data.n.Count", "int8",
		},
		"bad timestamp": {
			func() (any, error) { return event.Decode[strict](with(map[string]any{"t": marker})) },
			strict{}, "timestamp", "not a number",
		},
		"panic": {
			func() (any, error) { return event.Decode[explosive](with(map[string]any{})) },
			explosive{}, "data", "panic",
		},
		"own error": {
			func() (any, error) { return event.Decode[refusing](with(map[string]any{})) },
			refusing{}, "data", "cannot be decoded",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := test.decode()
			var invalid *event.InvalidError
			require.ErrorAs(t, err, &invalid)
			assert.Equal(t, test.zero, got, "nothing half decoded")
			assert.Equal(t, test.field, invalid.Field)
			assert.Contains(t, invalid.Problem, test.problem)
			for _, value := range []string{marker, "7777"} {
				assert.NotContains(t, err.Error(), value)
			}
		})
	}
}
