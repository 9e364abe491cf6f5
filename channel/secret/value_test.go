package secret

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const planted = "s3cr3t-Pl4nted/value+42"

type holds struct {
	Exported Value
	hidden   Value
	pointer  *Value
	list     []Value
	byName   map[string]Value
}

func newHolds(v Value) holds {
	return holds{v, v, &v, []Value{v}, map[string]Value{"k": v}}
}

func TestS47_NoVerbShowsAValue(t *testing.T) {
	t.Parallel()
	v := Literal(planted)
	for name, shown := range map[string]any{
		"value": v, "pointer": &v, "struct": newHolds(v), "struct pointer": &holds{hidden: v}, "redactor": NewRedactor(planted),
		"set": NewSet(v), "mask": Mask{"M1", v}, "url": URL{Text: "https://a/M1", Masks: []Mask{{"M1", v}}},
		"source error": &SourceError{"env X", "failed"},
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%b", "%c", "%U", "%e", "%t", "%p", "%T", "%w", "%10.3v"} {
			text := fmt.Sprintf(verb, shown)
			assert.NotContains(t, text, "Pl4nted", "%s with %s", name, verb)
			assert.NotContains(t, text, "506c346e746564", "%s with %s in hexadecimal", name, verb)
			assert.NotContains(t, text, "506C346E746564", "%s with %s in hexadecimal", name, verb)
		}
		assert.NotContains(t, fmt.Sprint(shown), "Pl4nted")
		assert.NotContains(t, fmt.Errorf("wrapped: %v", shown).Error(), "Pl4nted")
	}
	assert.Equal(t, Redacted, v.String())
	assert.Empty(t, Value{}.String())
}

// The control for the test above: the usual way to hide a string, by methods, does leak from an unexported field.
type methodsOnly string

func (methodsOnly) String() string { return Redacted }

func TestS47_ControlMethodsAloneLeak(t *testing.T) {
	t.Parallel()
	assert.Contains(t, fmt.Sprintf("%+v", struct{ hidden methodsOnly }{planted}), planted)
}

func TestS47_NoEncoderShowsAValue(t *testing.T) {
	t.Parallel()
	v := Literal(planted)
	type config struct {
		Token  Value `json:"token" xml:"token"`
		hidden Value
	}
	c := config{v, v}
	var gobbed bytes.Buffer
	require.NoError(t, gob.NewEncoder(&gobbed).Encode(c))
	jsoned, err := json.Marshal(map[string]any{"c": c, "v": v, "p": &v, "m": Mask{"M1", v}})
	require.NoError(t, err)
	xmled, err := xml.Marshal(c)
	require.NoError(t, err)
	for name, out := range map[string][]byte{"gob": gobbed.Bytes(), "json": jsoned, "xml": xmled} {
		assert.NotContains(t, string(out), "Pl4nted", name)
		assert.Contains(t, string(out), Redacted, name)
	}
	for name, handler := range map[string]func(*bytes.Buffer) slog.Handler{
		"text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
		"json": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
	} {
		var log bytes.Buffer
		slog.New(handler(&log)).Info("x", "value", v, "pointer", &v, "holds", newHolds(v), "mask", Mask{"M1", v})
		assert.NotContains(t, log.String(), "Pl4nted", name)
		assert.Contains(t, log.String(), Redacted, name)
	}
}

func TestS47_PanicShowsNoValue(t *testing.T) {
	t.Parallel()
	defer func() {
		r := recover()
		require.NotNil(t, r)
		assert.NotContains(t, fmt.Sprintf("%v %+v %#v", r, r, r), "Pl4nted")
		assert.NotContains(t, errors.Join(r.(error)).Error(), "Pl4nted")
	}()
	panic(fmt.Errorf("bad %+v", newHolds(Literal(planted))))
}

func TestS51_ValueReadBackIsKept(t *testing.T) {
	t.Parallel()
	type config struct {
		Token Value `json:"token"`
		None  Value `json:"none"`
	}
	shown, err := json.Marshal(config{Token: Literal(planted)})
	require.NoError(t, err)
	assert.JSONEq(t, `{"token":"[redacted]","none":""}`, string(shown))
	var back config
	require.NoError(t, json.Unmarshal(shown, &back))
	assert.True(t, back.Token.IsKept())
	assert.True(t, back.None.IsZero())
	_, err = back.Token.Reveal(t.Context())
	require.ErrorContains(t, err, "give the value again")

	require.NoError(t, json.Unmarshal([]byte(`{"token":"new one"}`), &back))
	text, err := back.Token.Reveal(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "new one", text)
}
