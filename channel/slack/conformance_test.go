package slack_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/slack"
	"github.com/tocsin-go/tocsin/template"
)

// serve starts Slack as it answers in the given class. It repeats all it was sent wherever a response has room for it.
func serve(t *testing.T, a channeltest.Answer) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		echo := fmt.Sprintf("%s %s %q %+v %s", r.Method, r.RequestURI, r.URL.Path, r.Header, body)
		for name, values := range r.Header {
			w.Header()["X-Echo-"+name] = values
		}
		w.Header().Set("X-Echo-Uri", r.RequestURI)
		hook := strings.Contains(r.URL.Path, "/services/")
		says := func(status int, word string) {
			w.WriteHeader(status)
			if hook {
				_, _ = io.WriteString(w, word)
				return
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"ok": word == "ok", "error": word, "ts": "1.1", "echo": echo})
		}
		switch a {
		case channeltest.Accepted:
			says(http.StatusOK, "ok")
		case channeltest.Unavailable:
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, echo)
		case channeltest.Throttled:
			w.Header().Set("Retry-After", fmt.Sprint(channeltest.ThrottleDelay.Seconds()))
			says(http.StatusTooManyRequests, "ratelimited")
		case channeltest.Rejected:
			says(map[bool]int{true: http.StatusBadRequest, false: http.StatusOK}[hook], "invalid_blocks")
		case channeltest.Gone:
			if hook {
				says(http.StatusGone, "channel_is_archived")
			} else {
				says(http.StatusOK, "is_archived")
			}
		case channeltest.Silent:
			<-r.Context().Done()
		}
	}))
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s.URL
}

func TestWebhookConformance(t *testing.T) {
	t.Parallel()
	for name, tpl := range map[string]*template.Template{
		"default": nil,
		"mrkdwn":  compile(t, template.Slack, "*{{event_type}}* about {{subject}}: {{data.justification}}"),
		"JSON":    compile(t, template.JSON, `{"text":"{{slack data.justification}}","metadata":{{json data}} }`),
	} {
		t.Run(name, func(t *testing.T) {
			channeltest.Run(t, channeltest.Suite{
				Secrets: []string{"B1H0K5C3RT", "H00KS3CRETXXXXXXXXXXXXXX"},
				New: func(t *testing.T, a channeltest.Answer) channel.Channel {
					t.Helper()
					o := local(t)
					o.Template = tpl
					hook, err := slack.NewWebhook(slack.WebhookConfig{URL: serve(t, a) + "/services/" + hookKey, Options: o})
					require.NoError(t, err)
					return hook
				},
			})
		})
	}
}

func TestBotConformance(t *testing.T) {
	t.Parallel()
	for name, tpl := range map[string]*template.Template{
		"default": nil,
		"mrkdwn":  compile(t, template.Slack, "*{{event_type}}* about {{subject}}: {{data.justification}}"),
	} {
		t.Run(name, func(t *testing.T) {
			channeltest.Run(t, channeltest.Suite{
				Secrets: []string{token},
				New: func(t *testing.T, a channeltest.Answer) channel.Channel {
					t.Helper()
					o := local(t)
					o.Template = tpl
					bot, err := slack.NewBot(slack.BotConfig{Token: secret.Literal(token), Channel: room, API: serve(t, a) + "/api", Options: o})
					require.NoError(t, err)
					return bot
				},
			})
		})
	}
}

// reached are options through a proxy that answers in Slack's place, so that the proxy's password is planted as well.
func reached() slack.Options {
	return slack.Options{
		Interval: -1,
		Limits:   netguard.Limits{AllowInsecureHTTP: true},
		Proxy:    &netguard.Proxy{User: "us", Profile: netguard.Profile{Loopback: true}},
	}
}

func TestS47_S52_NoSecretOfAWebhookLeaks(t *testing.T) { //nolint:paralleltest // RunLeaks replaces the default logger
	channeltest.RunLeaks(t, channeltest.LeakSuite[slack.WebhookConfig]{
		Config: func() slack.WebhookConfig {
			return slack.WebhookConfig{
				URL:     "http://hooks.test/services/{hook}",
				Masks:   []secret.Mask{{Replacement: "{hook}"}},
				Options: reached(),
			}
		},
		New: func(t *testing.T, c slack.WebhookConfig, a channeltest.Answer) (channel.Channel, error) {
			t.Helper()
			c.Proxy.URL = serve(t, a)
			hook, err := slack.NewWebhook(c)
			if err != nil {
				return nil, err
			}
			return hook, nil
		},
	})
}

func TestS47_S52_NoSecretOfABotLeaks(t *testing.T) { //nolint:paralleltest // RunLeaks replaces the default logger
	channeltest.RunLeaks(t, channeltest.LeakSuite[slack.BotConfig]{
		Config: func() slack.BotConfig {
			return slack.BotConfig{Channel: room, API: "http://slack.test/api", Options: reached()}
		},
		New: func(t *testing.T, c slack.BotConfig, a channeltest.Answer) (channel.Channel, error) {
			t.Helper()
			c.Proxy.URL = serve(t, a)
			bot, err := slack.NewBot(c)
			if err != nil {
				return nil, err
			}
			return bot, nil
		},
	})
}
