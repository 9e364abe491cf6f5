package slack

import (
	"errors"
	"strings"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/webhook"
)

// BotConfig describes a Slack app's access to one channel. Printing one shows the channel only.
type BotConfig struct {
	// Token is the app's bot token, xoxb-…, with the scope chat:write. Required.
	Token secret.Value
	// Channel is the id of a channel or a conversation the app is a member of, such as C024BE91L: Slack shows it at the
	// end of "About this channel". Not a name, which can change and which chat.update does not take. Required.
	Channel string
	// API is where the Web API's methods are. Empty = https://slack.com/api; GovSlack has https://slack-gov.com/api.
	API string
	// Separate makes each event a message of its own.
	Separate bool
	// References remembers the first message about each subject. nil = a [Memory] of its own.
	References References
	Options
}

const defaultAPI = "https://slack.com/api"

func (c BotConfig) withDefaults() BotConfig {
	c.Options = c.Options.withDefaults()
	if c.API == "" {
		c.API = defaultAPI
	}
	if c.References == nil {
		c.References = NewMemory(MemoryOptions{})
	}
	return c
}

// check returns every problem besides those of the connection and of what API and Token hold.
func (c BotConfig) check() error {
	errs := []error{c.Options.check()}
	if c.Token.IsZero() {
		errs = append(errs, mistake(channel.CodeMissing, "Token", "is empty", "give the app's bot token, which begins with xoxb-"))
	}
	if !isChannelID(c.Channel) {
		code := channel.CodeInvalid
		if c.Channel == "" {
			code = channel.CodeMissing
		}
		errs = append(errs, mistake(code, "Channel", "is not the id of a channel", `copy it from "About this channel": it begins with C, D or G and has no lower case letters`))
	}
	if strings.ContainsAny(c.API, "?#") {
		errs = append(errs, mistake(channel.CodeInvalid, "API", "has a query or a fragment", "remove it"))
	}
	return errors.Join(errs...)
}

// renamed says what package webhook says about method's Config, of the fields of a BotConfig.
func renamed(err error) error {
	return channel.EditConfigErrors(err, func(e *channel.ConfigError) {
		e.Package = pkg
		switch field, _, _ := strings.Cut(e.Path, "."); field {
		case "URL":
			e.Path = "API"
		case "Auth":
			e.Path = "Token"
		}
	})
}

// isChannelID takes ids of public channels, direct messages and private channels
// (https://docs.slack.dev/apis/web-api/using-the-conversations-api).
func isChannelID(s string) bool {
	if len(s) < 3 || len(s) > 64 || strings.IndexByte("CDG", s[0]) < 0 {
		return false
	}
	return strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == ""
}

// method describes one of the Web API's methods.
func (c BotConfig) method(name string) webhook.Config {
	w := webhook.Config{
		URL:         strings.TrimSuffix(c.API, "/") + "/" + name,
		ContentType: "application/json; charset=utf-8",
		Interpret:   readAPI,
	}
	if !c.Token.IsZero() { // which check reports, in words that do not speak of a Scheme
		w.Auth = webhook.Scheme("Bearer", c.Token)
	}
	return c.reach(w)
}
