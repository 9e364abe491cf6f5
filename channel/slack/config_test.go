package slack_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/slack"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/template"
)

func compile(t testing.TB, mode template.Mode, source string) *template.Template {
	t.Helper()
	tpl, err := template.Compile(source, template.Options{Mode: mode})
	require.NoError(t, err)
	return tpl
}

// check finds the *channel.ConfigError for field among those joined in err.
func check(t *testing.T, err error, field, says string) {
	t.Helper()
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "S3CRET")
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if strings.HasPrefix(line, "slack: "+field+" ") {
			assert.Contains(t, line, says)
			assert.Contains(t, line, "; ")
			_, ok := errors.AsType[*channel.ConfigError](err)
			assert.True(t, ok)
			return
		}
	}
	assert.Fail(t, "no error about "+field, "%v", err)
}

func TestNewWebhookRefuses(t *testing.T) {
	t.Parallel()
	const good = "https://hooks.slack.com/services/T0/B0/S3CRET"
	for name, tc := range map[string]struct {
		config      slack.WebhookConfig
		field, says string
	}{
		"no URL":   {slack.WebhookConfig{}, "URL", "is empty"},
		"http":     {slack.WebhookConfig{URL: "http://hooks.slack.com/services/S3CRET"}, "URL", "is not encrypted"},
		"mask":     {slack.WebhookConfig{URL: good, Masks: []secret.Mask{{Replacement: "{x}", Value: secret.Literal("S3CRET-2")}}}, "Masks[0].Replacement", "does not occur"},
		"template": {slack.WebhookConfig{URL: good, Options: slack.Options{Template: compile(t, template.HTML, "S3CRET")}}, "Template", "is neither for Slack nor for JSON"},
		"TLS":      {slack.WebhookConfig{URL: good, Options: slack.Options{TLS: netguard.TLS{MinVersion: 1}}}, "TLS.MinVersion", "is not a version"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hook, err := slack.NewWebhook(tc.config)
			assert.Nil(t, hook)
			check(t, err, tc.field, tc.says)
		})
	}
}

func TestNewBotRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change      func(*slack.BotConfig)
		field, says string
	}{
		"no token":         {func(c *slack.BotConfig) { c.Token = secret.Value{} }, "Token", "is empty; give the app's bot token"},
		"line feed":        {func(c *slack.BotConfig) { c.Token = secret.Literal("S3CRET\n") }, "Token", "printable ASCII"},
		"token of before":  {func(c *slack.BotConfig) { c.Token = secret.Kept() }, "Token", "stored before"},
		"no channel":       {func(c *slack.BotConfig) { c.Channel = "" }, "Channel", "is not the id of a channel"},
		"name":             {func(c *slack.BotConfig) { c.Channel = "#approvals" }, "Channel", "is not the id of a channel"},
		"user":             {func(c *slack.BotConfig) { c.Channel = "U024BE7LH" }, "Channel", "is not the id of a channel"},
		"lower case":       {func(c *slack.BotConfig) { c.Channel = "C024be91l" }, "Channel", "is not the id of a channel"},
		"long id":          {func(c *slack.BotConfig) { c.Channel = "C" + strings.Repeat("0", 64) }, "Channel", "is not the id of a channel"},
		"API without TLS":  {func(c *slack.BotConfig) { c.API = "http://slack.com/api" }, "API", "is not encrypted"},
		"API with a query": {func(c *slack.BotConfig) { c.API = "https://slack.com/api?x=S3CRET" }, "API", "has a query"},
		"template":         {func(c *slack.BotConfig) { c.Template = compile(t, template.Text, "S3CRET") }, "Template", "is neither"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := slack.BotConfig{Token: secret.Literal("xoxb-S3CRET"), Channel: "C024BE91L"}
			bot, err := slack.NewBot(c)
			require.NoError(t, err)
			require.NoError(t, bot.Close())
			tc.change(&c)
			bot, err = slack.NewBot(c)
			assert.Nil(t, bot)
			check(t, err, tc.field, tc.says)
		})
	}
	_, err := slack.NewBot(slack.BotConfig{API: "http://slack.com", Options: slack.Options{Template: compile(t, template.Text, "")}})
	for _, field := range []string{"API", "Token", "Channel", "Template"} {
		check(t, err, field, "")
	}
}

func TestConfigurationsArePrintedWithoutTheirSecrets(t *testing.T) {
	t.Parallel()
	w := openWorkspace(t)
	hook := slack.WebhookConfig{URL: "https://hooks.slack.com/services/T0/B0/S3CRET"}
	bot := slack.BotConfig{Token: secret.Literal("xoxb-S3CRET"), Channel: room}
	for want, v := range map[string]any{
		"slack.WebhookConfig(webhook.Config(https://hooks.slack.com))": hook,
		"slack.WebhookConfig(webhook.Config(invalid URL))":             slack.WebhookConfig{URL: "S3CRET"},
		"slack.BotConfig(" + room + ")":                                bot,
		"slack.BotConfig(invalid channel)":                             slack.BotConfig{Channel: "S3CRET"},
		"slack.Webhook(webhook.Channel(POST " + w.url + "))":           w.newWebhook(nil),
		"slack.Bot(" + room + ", webhook.Channel(POST " + w.url + "))": w.newBot(nil),
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
			assert.Equal(t, want, fmt.Sprintf(verb, v), verb)
		}
		var log lines
		slog.New(slog.NewJSONHandler(&log, nil)).Info("made", "config", v)
		assert.NotContains(t, log.String(), "S3CRET")
	}
}

// The pace is one message a second unless the configuration says something else.
func TestOneMessageASecondByDefault(t *testing.T) {
	t.Parallel()
	w := openWorkspace(t)
	for name, c := range map[string]channel.Channel{
		"webhook": w.newWebhook(func(c *slack.WebhookConfig) { c.Interval = 0 }),
		"bot":     w.newBot(func(c *slack.BotConfig) { c.Interval = 0 }),
	} {
		_, err := c.Send(t.Context(), sample(t, event.TypeRequestPending))
		require.NoError(t, err, name)
		d := sample(t, event.TypeAlertOpened)
		for tries := 0; err == nil && tries < 20; tries++ { // on a busy machine a second may have passed
			var r channel.Receipt
			r, err = c.Send(t.Context(), d)
			if err != nil {
				assert.Equal(t, channel.Receipt{}, r)
			}
		}
		postponed(t, err)
	}
}
