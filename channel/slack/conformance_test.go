package slack_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest"
	"github.com/tocsin-go/tocsin/channel/channeltest/slacktest"
	"github.com/tocsin-go/tocsin/channel/channeltest/webhooktest"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/slack"
	"github.com/tocsin-go/tocsin/template"
)

// serve starts Slack as it answers in the given class. It repeats all it was sent wherever a response has room for it.
func serve(t *testing.T, a channeltest.Answer) *slacktest.Server {
	t.Helper()
	s := slacktest.Start(t)
	s.Handle(func(r webhooktest.Request) slacktest.Response {
		echo := fmt.Sprintf("%s %s %+v %s", r.Method, r.URI, r.Header, r.Body)
		header := http.Header{"X-Echo-Uri": {r.URI}}
		for name, values := range r.Header {
			header["X-Echo-"+name] = values
		}
		hook := strings.Contains(r.URI, "/services/")
		says := func(status int, word string) slacktest.Response {
			if hook {
				return slacktest.Response{Status: status, Header: header, Body: word}
			}
			body, err := json.Marshal(map[string]any{"ok": word == "ok", "error": word, "ts": "1.1", "echo": echo})
			assert.NoError(t, err)
			return slacktest.Response{Status: status, Header: header, Body: string(body)}
		}
		switch a {
		case channeltest.Accepted:
			return says(http.StatusOK, "ok")
		case channeltest.Unavailable:
			return slacktest.Response{Status: http.StatusServiceUnavailable, Header: header, Body: echo}
		case channeltest.Throttled:
			header.Set("Retry-After", fmt.Sprint(channeltest.ThrottleDelay.Seconds()))
			return says(http.StatusTooManyRequests, "ratelimited")
		case channeltest.Rejected:
			return says(map[bool]int{true: http.StatusBadRequest, false: http.StatusOK}[hook], "invalid_blocks")
		case channeltest.Gone:
			if hook {
				return says(http.StatusGone, "channel_is_archived")
			}
			return says(http.StatusOK, "is_archived")
		case channeltest.Silent:
			return slacktest.Response{Hang: true}
		}
		return slacktest.Response{}
	})
	return s
}

func TestWebhookConformance(t *testing.T) {
	t.Parallel()
	key := strings.Split(hookKey(slacktest.Start(t)), "/") // the same for each server
	require.Len(t, key, 3)
	for name, tpl := range map[string]*template.Template{
		"default": nil,
		"mrkdwn":  compile(t, template.Slack, "*{{event_type}}* about {{subject}}: {{data.justification}}"),
		"JSON":    compile(t, template.JSON, `{"text":"{{slack data.justification}}","metadata":{{json data}} }`),
	} {
		t.Run(name, func(t *testing.T) {
			channeltest.Run(t, channeltest.Suite{
				Secrets: key[1:], // of the webhook; not the workspace
				New: func(t *testing.T, a channeltest.Answer) channel.Channel {
					t.Helper()
					c := serve(t, a).WebhookConfig()
					c.Template = tpl
					hook, err := slack.NewWebhook(c)
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
					c := serve(t, a).BotConfig()
					c.Template = tpl
					bot, err := slack.NewBot(c)
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
			c.Proxy.URL = strings.TrimSuffix(serve(t, a).API(), "/api")
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
			c.Proxy.URL = strings.TrimSuffix(serve(t, a).API(), "/api")
			bot, err := slack.NewBot(c)
			if err != nil {
				return nil, err
			}
			return bot, nil
		},
	})
}
