package channeltest_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/channel/secret"
)

// settings is a configuration with a secret.Value in every place where one can be.
type settings struct {
	Token    secret.Value
	hidden   struct{ value secret.Value }
	Relay    *relay
	List     []relay
	ByName   map[string]relay
	Any      any
	Pair     [2]secret.Value
	Unused   *slog.Logger // is none of a configuration
	Function func()
	Again    *settings
}

type relay struct {
	Host     string
	Password secret.Value
}

func complete() settings {
	s := settings{Relay: &relay{}, List: []relay{{}, {}}, ByName: map[string]relay{"a": {}}, Any: relay{}, Unused: slog.Default()}
	s.Again = &settings{Relay: &relay{}, List: []relay{{}}, ByName: map[string]relay{"b": {}}}
	s.Again.Again = s.Again
	return s
}

// all returns the values of a complete configuration in the order of its fields.
func (s settings) all() []secret.Value {
	values := []secret.Value{s.Token, s.hidden.value, s.Relay.Password, s.List[0].Password}
	if len(s.List) > 1 {
		values = append(values, s.List[1].Password, s.ByName["a"].Password, s.Any.(relay).Password)
		values = append(values, s.Pair[:]...)
		return append(values, s.Again.all()...)
	}
	return append(values, s.ByName["b"].Password, s.Pair[0], s.Pair[1])
}

// careful reveals everything and shows nothing.
func careful(_ *testing.T, s settings, a channeltest.Answer) (channel.Channel, error) {
	return channel.Func(func(ctx context.Context, d channel.Delivery) (channel.Receipt, error) {
		for _, v := range s.all() {
			if _, err := v.Reveal(ctx); err != nil {
				return channel.Receipt{}, err
			}
		}
		return honest(a)(ctx, d)
	}), nil
}

// leakSuite is careful, but for what spoil does with the revealed token.
func leakSuite(spoil func(token string, r *channel.Receipt, err *error)) channeltest.LeakSuite[settings] {
	return channeltest.LeakSuite[settings]{Config: complete, New: func(t *testing.T, s settings, a channeltest.Answer) (channel.Channel, error) {
		good, _ := careful(t, s, a)
		return channel.Func(func(ctx context.Context, d channel.Delivery) (channel.Receipt, error) {
			r, err := good.Send(ctx, d)
			if token, failure := s.Token.Reveal(ctx); failure == nil {
				spoil(token, &r, &err)
			}
			return r, err
		}), nil
	}}
}

const leakVariable = "CHANNELTEST_LEAK"

func leaking() map[string]struct {
	run  func(t *testing.T)
	says string
} {
	type leak = struct {
		run  func(t *testing.T)
		says string
	}
	spoiled := func(says string, spoil func(token string, r *channel.Receipt, err *error)) leak {
		return leak{func(t *testing.T) { channeltest.RunLeaks(t, leakSuite(spoil)) }, says}
	}
	configured := func(says string, edit func(*settings)) leak {
		return leak{func(t *testing.T) {
			channeltest.RunLeaks(t, channeltest.LeakSuite[settings]{New: careful, Config: func() settings {
				s := complete()
				edit(&s)
				return s
			}})
		}, says}
	}
	return map[string]leak{
		"error": spoiled("the error of an attempt holds the value of Token (as it is)", func(token string, _ *channel.Receipt, err *error) {
			*err = fmt.Errorf("refused: %w", errors.New("bad token "+token))
		}),
		"receipt": spoiled("the receipt of an attempt holds the value of Token (query-escaped)", func(token string, r *channel.Receipt, _ *error) {
			r.Response = &channel.Message{Body: []byte("got " + strings.NewReplacer("+", "%2B", "/", "%2F", "&", "%26").Replace(token))}
		}),
		"panic": {func(t *testing.T) {
			channeltest.RunLeaks(t, channeltest.LeakSuite[settings]{Config: complete, New: func(t *testing.T, s settings, a channeltest.Answer) (channel.Channel, error) {
				text, _ := s.Token.Reveal(t.Context())
				return channel.Func(func(ctx context.Context, d channel.Delivery) (channel.Receipt, error) {
					if ctx == nil {
						panic(leakyRuntimeError(text))
					}
					return honest(a)(ctx, d)
				}), nil
			}})
		}, "the error of an attempt that panics holds the value of Token (as it is)"},
		"default logger": spoiled("the log holds the value of Token (as it is)", func(token string, _ *channel.Receipt, _ *error) {
			slog.Info("sent", "token", token) //nolint:sloglint // the mistake to be found
		}),
		"package log": spoiled("the log holds the value of Token (as it is)", func(token string, _ *channel.Receipt, _ *error) { log.Print("sent " + token) }),
		"source's error": {func(t *testing.T) {
			channeltest.RunLeaks(t, channeltest.LeakSuite[settings]{Config: complete, New: func(_ *testing.T, s settings, _ channeltest.Answer) (channel.Channel, error) {
				text, err := s.List[1].Password.Reveal(context.Background())
				if err == nil && strings.Contains(text, "\n") {
					return nil, errors.New("line feed in " + text)
				}
				return careful(t, s, channeltest.Accepted)
			}})
		}, "the error of New holds the value of List[1].Password"},
		"nil pointer":  configured("Relay can hold a secret.Value and is empty: set it in LeakSuite.Config", func(s *settings) { s.Relay = nil }),
		"empty slice":  configured("List can hold a secret.Value and is empty: give it an element", func(s *settings) { s.List = nil }),
		"empty map":    configured("ByName can hold a secret.Value and is empty: give it an element", func(s *settings) { s.ByName = nil }),
		"further down": configured("Again.Relay can hold a secret.Value and is empty", func(s *settings) { s.Again = &settings{} }),
		"no value": {func(t *testing.T) {
			channeltest.RunLeaks(t, channeltest.LeakSuite[int]{Config: func() int { return 1 }, New: func(*testing.T, int, channeltest.Answer) (channel.Channel, error) {
				return honest(channeltest.Accepted), nil
			}})
		}, "holds no secret.Value"},
		"no New": {func(t *testing.T) { channeltest.RunLeaks(t, channeltest.LeakSuite[settings]{Config: complete}) }, "is nil: set both"},
	}
}

// leakyRuntimeError is a panic whose text is kept.
type leakyRuntimeError string

func (e leakyRuntimeError) Error() string { return string(e) }
func (leakyRuntimeError) RuntimeError()   {}

func TestS47_S52_RunLeaksPlantsEverywhere(t *testing.T) {
	logger, prefix := slog.Default(), log.Writer()
	seen := make(map[string]bool)
	channeltest.RunLeaks(t, channeltest.LeakSuite[settings]{
		Config: complete,
		New: func(t *testing.T, s settings, a channeltest.Answer) (channel.Channel, error) {
			t.Helper()
			for _, v := range s.all() {
				if text, err := v.Reveal(t.Context()); err == nil {
					assert.False(t, seen[text], "each place has a text of its own")
					seen[text] = true
				}
				assert.False(t, v.IsZero())
			}
			assert.Len(t, s.all(), 16)
			return careful(t, s, a)
		},
		Unsupported: []channeltest.Answer{channeltest.Gone},
		Text: func(field, random string) string {
			if field == "Relay.Password" {
				return "v1:" + random
			}
			return ""
		},
	})
	assert.Greater(t, len(seen), 100)
	assert.Same(t, logger, slog.Default(), "the default logger is put back")
	assert.Equal(t, prefix, log.Writer())
	formed := 0
	for text := range seen {
		if strings.HasPrefix(text, "v1:") {
			formed++
		}
	}
	assert.Greater(t, formed, 5)
}

// TestLeakInChild is the child's part of TestS47_S52_RunLeaksFindsLeaks. Outside the child it has nothing to check.
func TestLeakInChild(t *testing.T) {
	if name := os.Getenv(leakVariable); name != "" {
		leaking()[name].run(t)
	}
}

func TestS47_S52_RunLeaksFindsLeaks(t *testing.T) {
	t.Parallel()
	for name, l := range leaking() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestLeakInChild$", "-test.v=false")
			cmd.Env = append(os.Environ(), leakVariable+"="+name)
			text, err := cmd.CombinedOutput()
			exit, ok := errors.AsType[*exec.ExitError](err)
			require.True(t, ok, "the suite passed:\n%s", text)
			assert.Equal(t, 1, exit.ExitCode(), "a panic ends with 2:\n%s", text)
			assert.Contains(t, string(text), l.says)
			assert.NotContains(t, string(text), "leak-", "the report shows no value")
		})
	}
}
