package channeltest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"net/url"
	"reflect"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/tocsin-go/tocsin/event"
)

func leakRules() []rule {
	return []rule{
		{"no secret", "No credential and no secret part of a URL is in an error, a receipt, or the channel or a copy of it when it is printed.",
			checkSecrets},
		{"no goroutine", "When the channel is closed, no goroutine it started is left.",
			checkGoroutines},
	}
}

func checkSecrets(t *testing.T, s Suite) {
	if len(s.Secrets) == 0 {
		t.Log("not checked: Suite.Secrets is empty")
		return
	}
	for _, a := range answers() {
		c, ok := s.open(t, a)
		if !ok {
			continue
		}
		r := attemptAny(t, c, a, sample())
		s.search(t, a, "the error", printError(r.err)...)
		s.search(t, a, "the receipt", printReceipt(r.receipt))
		s.search(t, a, "the printed channel", printCopies(c)...)
	}
}

// search reports secrets by their position in the suite, never by their value.
func (s Suite) search(t *testing.T, a Answer, where string, texts ...string) {
	t.Helper()
	for i, secret := range s.Secrets {
		if form := findSecret(secret, texts); form != "" {
			t.Errorf("%s: %s holds Suite.Secrets[%d] (%s)", a, where, i, form)
		}
	}
}

// checkGoroutines finds the goroutines by a profiler label, which they inherit from the goroutine that starts them.
// Unlike a comparison of all stacks it is not confused by tests that run at the same time.
func checkGoroutines(t *testing.T, s Suite) {
	const key = "channeltest"
	label := rand.Text()
	for _, a := range answers() {
		// A sub-test of its own, because its end runs the cleanups: the channel and the destination are closed then.
		t.Run(a.String(), func(t *testing.T) {
			pprof.SetGoroutineLabels(pprof.WithLabels(t.Context(), pprof.Labels(key, label)))
			c, ok := s.open(t, a)
			if !ok {
				return
			}
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() { attemptAny(t, c, a, request(t, "no goroutine", event.Meta{})) })
			}
			wg.Wait()
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), returnTimeout)
	defer cancel()
	if left := awaitEnd(ctx, `"`+key+`":"`+label+`"`); left != "" {
		t.Errorf("left %v after the channel and its destination were closed:\n%s", returnTimeout, left)
	}
}

// awaitEnd returns "" once no goroutine with the label is left, or when ctx is done the stacks of those that are. It
// has to poll: the runtime does not notify of the end of a goroutine.
func awaitEnd(ctx context.Context, label string) string {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		left := labelled(label)
		if left == "" {
			return ""
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return left
		}
	}
}

// labelled returns the stacks of the goroutines with the label.
func labelled(label string) string {
	var profile bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		return "the goroutine profile cannot be read: " + err.Error()
	}
	var left []string
	for stack := range strings.SplitSeq(profile.String(), "\n\n") {
		if strings.Contains(stack, label) {
			left = append(left, stack)
		}
	}
	return strings.Join(left, "\n\n")
}

// minSecret is the shortest planted secret that is not found by chance.
const minSecret = 8

// forms returns the encodings in which a secret may come out, by name.
func forms(secret string) map[string]string {
	quoted, _ := json.Marshal(secret) // a string can always be marshalled
	found := map[string]string{
		"as it is":               secret,
		"query-escaped":          url.QueryEscape(secret),
		"path-escaped":           url.PathEscape(secret),
		"in JSON":                string(quoted[1 : len(quoted)-1]),
		"in HTML":                html.EscapeString(secret),
		"in hexadecimal":         hex.EncodeToString([]byte(secret)),
		"in capital hexadecimal": strings.ToUpper(hex.EncodeToString([]byte(secret))),
		"as a list of numbers":   strings.Trim(fmt.Sprintf("%d", []byte(secret)), "[]"),
	}
	for shift := range 3 {
		found[fmt.Sprintf("in base64, shifted by %d", shift)] = inBase64(base64.RawStdEncoding, secret, shift)
		found[fmt.Sprintf("in base64 for URLs, shifted by %d", shift)] = inBase64(base64.RawURLEncoding, secret, shift)
	}
	return found
}

// findSecret returns the name of an encoding in which secret is in one of texts, or "".
func findSecret(secret string, texts []string) string {
	all := forms(secret)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		for _, text := range texts {
			if strings.Contains(text, all[name]) {
				return name
			}
		}
	}
	return ""
}

// inBase64 returns the part that is certain in the encoding of a longer text in which secret begins at a position that
// leaves the remainder shift when divided by 3: "user:password" is the case that matters.
func inBase64(enc *base64.Encoding, secret string, shift int) string {
	text := enc.EncodeToString(append(make([]byte, shift), secret...))
	return text[(shift*8+5)/6 : (shift+len(secret))*8/6]
}

// printValue prints v in the ways that programs and logs do.
func printValue(v any) []string {
	var texts []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		texts = append(texts, fmt.Sprintf(verb, v))
	}
	if j, err := json.Marshal(v); err == nil {
		texts = append(texts, string(j))
	}
	return texts
}

// printCopies prints v, what it points to and copies of that, by themselves and inside of other values, exported and
// not: a host embeds a channel, logs it by value, or keeps it in a struct of its own, where package fmt does not ask
// its methods.
func printCopies(v any) []string {
	texts := printValue(v)
	if v == nil {
		return texts
	}
	inner := reflect.ValueOf(v)
	for range 3 { // a pointer to an interface to a pointer, at most
		if inner.Kind() != reflect.Pointer && inner.Kind() != reflect.Interface || inner.IsNil() {
			break
		}
		inner = inner.Elem()
		if inner.CanInterface() {
			v = inner.Interface()
			texts = append(texts, printHolders(v)...)
			texts = append(texts, printValue(v)...)
		}
	}
	return append(texts, printHolders(v)...)
}

// printHolders prints structs, lists and maps that hold v.
func printHolders(v any) []string {
	type exported struct{ Inner any }
	type unexported struct{ inner any }
	type embedding struct{ exported }
	t := reflect.TypeOf(v)
	typed := reflect.New(reflect.StructOf([]reflect.StructField{
		{Name: "Open", Type: t}, {Name: "hidden", PkgPath: "example.com/host", Type: t},
	})).Elem()
	typed.Field(0).Set(reflect.ValueOf(v))
	hidden := typed.Field(1) // which only package unsafe can set, as a host's own code sets its own
	reflect.NewAt(t, unsafe.Pointer(hidden.UnsafeAddr())).Elem().Set(reflect.ValueOf(v))
	var texts []string
	for _, holder := range []any{
		exported{v}, unexported{v}, &unexported{v}, embedding{exported{v}}, []any{v}, map[string]any{"k": v},
		typed.Interface(), typed.Addr().Interface(), unexported{&v}, [1]unexported{{v}}, struct{ list []any }{[]any{v}},
	} {
		texts = append(texts, printValue(holder)...)
	}
	return texts
}

// printError prints err and every error it wraps: a caller may log each of them.
func printError(err error) []string {
	if err == nil {
		return nil
	}
	texts := append(printValue(err), err.Error())
	switch e := err.(type) { //nolint:errorlint // walks the tree itself
	case interface{ Unwrap() error }:
		texts = append(texts, printError(e.Unwrap())...)
	case interface{ Unwrap() []error }:
		for _, wrapped := range e.Unwrap() {
			texts = append(texts, printError(wrapped)...)
		}
	}
	return texts
}
