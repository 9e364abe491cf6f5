package preset

import (
	"math"
	"net/http"
	neturl "net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-go/tocsin/channel/notice"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/retry"
)

// Discord posts an embed to a channel's webhook. url is the webhook's address, a secret as a whole behind the host.
// Unless it says something else, wait=true is added to it, because Discord otherwise reports success before a message
// is saved; with it only a response with the message's id is a success. A webhook that was deleted is channel.ErrGone.
//
// Nobody is mentioned whatever the text says, and Markdown in it is escaped, masked links included.
//
// Sources, read 2026-11: discord/discord-api-docs, docs/resources/webhook.md (content or embeds, at most 10 embeds,
// wait, allowed_mentions) and message.md (embed limits: title 256, description 4096, 25 fields of 256 and 1024, 6000
// together); docs.discord.com/developers/topics/rate-limits (retry_after in seconds, X-RateLimit-Reset-After). The
// specification gives 4xx as errors without more; recalled: 404 with code 10015 is a deleted webhook.
func Discord(url string) webhook.Config {
	address, _, _ := strings.Cut(url, "#")
	_, query, _ := strings.Cut(address, "?")
	given, _ := neturl.ParseQuery(query) // what it can read; webhook.New says what is wrong
	waits := true
	if given.Has("wait") {
		waits = given.Get("wait") == "true"
	} else {
		url = joinedURL(url, "", "wait=true")
	}
	c := webhook.Config{
		URL:       url,
		Body:      body(math.MaxInt, discordMessage),
		Success:   []int{http.StatusNoContent},
		RateLimit: webhook.ResetAtUnix,
		Interpret: readDiscord,
	}
	if waits {
		c.Success = []int{http.StatusOK}
	}
	return c
}

const (
	discordTitle       = 256
	discordDescription = 4096
	discordName        = 256
	discordValue       = 1024
	discordTotal       = 6000 // of all texts of a message's embeds
	discordShare       = 190  // of a field, when there is not room for all
)

type discord struct {
	Embeds   []discordEmbed  `json:"embeds"`
	Mentions discordMentions `json:"allowed_mentions"`
}

// discordMentions allows no kind of mention.
type discordMentions struct {
	Parse []string `json:"parse"`
}

type discordEmbed struct {
	Title       string         `json:"title"`
	Description string         `json:"description"`
	URL         string         `json:"url,omitempty"`
	Timestamp   time.Time      `json:"timestamp"`
	Color       int            `json:"color"`
	Fields      []discordField `json:"fields"`
}

type discordField struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Inline bool   `json:"inline"`
}

func discordMessage(m message) any {
	e := discordEmbed{
		Title:       markdown(m.Title, discordTitle),
		Description: markdown(m.Summary, discordDescription),
		Timestamp:   m.event.Time(),
		Color:       discordColour(m.Notice),
		Fields:      []discordField{},
	}
	if linkable(m.Link) {
		e.URL = m.Link
	} else if m.Link != "" {
		m.Facts = append([]notice.Fact{{Label: m.LinkText, Value: m.Link, Long: true}}, m.Facts...)
	}
	room := discordTotal - units(e.Title) - units(e.Description)
	for i, f := range m.Facts {
		name := markdown(f.Label, discordName)
		// What the facts to come may need at least is kept free.
		reserved := (len(m.Facts) - i - 1) * discordShare
		limit := min(discordValue, max(room-reserved, discordShare)-units(name))
		value := markdown(f.Value, max(limit, 1))
		if room -= units(name) + units(value); room < 0 {
			break
		}
		e.Fields = append(e.Fields, discordField{name, value, !f.Long})
	}
	return discord{[]discordEmbed{e}, discordMentions{[]string{}}}
}

// linkable reports whether Discord takes a link as embed.url: it refuses the whole message over a host of one label,
// such as an intranet's "wiki".
func linkable(link string) bool {
	u, err := neturl.Parse(link)
	return err == nil && strings.Contains(strings.Trim(u.Hostname(), "."), ".")
}

func discordColour(n notice.Notice) int {
	switch {
	case n.Severity == notice.Critical:
		return 0xB00020
	case n.Severity == notice.Error:
		return 0xED4245
	case n.Severity == notice.Warning:
		return 0xFEE75C
	case isGood(n):
		return 0x57F287
	}
	return 0x5865F2
}

// markdown escapes what Discord's Markdown gives a meaning to, and returns at most limit UTF-16 units of it.
func markdown(s string, limit int) string {
	s = notice.TruncateUTF16(s, limit)
	escapes := discordEscapes()
	for {
		escaped := escapes.Replace(s)
		over := units(escaped) - limit
		if over <= 0 {
			return escaped
		}
		// Each unit taken away takes at most one escape with it, so half is never too much.
		s = notice.TruncateUTF16(s, units(s)-(over+1)/2)
	}
}

func discordEscapes() *strings.Replacer {
	pairs := []string{"://", `:\//`, "@everyone", `\@everyone`, "@here", `\@here`} // an address does not become a link either
	for _, c := range "\\*_~`|>[]<#" {
		pairs = append(pairs, string(c), `\`+string(c))
	}
	return strings.NewReplacer(pairs...)
}

func readDiscord(a webhook.Response, v retry.Verdict) webhook.Reading {
	said := decode[struct {
		ID         string  `json:"id"`
		Code       int     `json:"code"`
		RetryAfter float64 `json:"retry_after"`
	}](a)
	r := expected(webhook.Reading{Verdict: v, ProviderID: said.ID}, said.ID != "" || a.Status == http.StatusNoContent)
	if said.Code != 0 {
		r.Reason = "code " + strconv.Itoa(said.Code)
	}
	switch a.Status {
	case http.StatusNotFound:
		if said.Code == 10015 {
			r.Verdict, r.Gone = retry.VerdictPermanent, true
		}
	case http.StatusTooManyRequests:
		pause := said.RetryAfter
		if pause <= 0 {
			pause, _ = strconv.ParseFloat(a.Header.Get("X-Ratelimit-Reset-After"), 64)
		}
		if pause > 0 && pause < 1e6 {
			r.RetryAfter = time.Duration(pause * float64(time.Second))
		}
	}
	return r
}
