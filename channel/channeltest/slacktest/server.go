package slacktest

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-go/tocsin/channel/channeltest/internal/cond"
	"github.com/tocsin-go/tocsin/channel/channeltest/internal/fake"
	"github.com/tocsin-go/tocsin/channel/channeltest/webhooktest"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/slack"
)

const (
	// Token is the bot token that the Web API takes, and no other.
	Token = "xoxb-T0KEN-S3CRET-of-slacktest"
	// Channel is the id of a channel, for a configuration. Any other will do.
	Channel = "C024BE91L"
)

// What the path of a webhook's URL has at Slack as well: the ids of the workspace and of the webhook, and a secret of
// 24 letters and digits.
const (
	hookWorkspace = "T0SLACKTEST"
	hookID        = "B0INCOMINGHOOK"
	hookSecret    = "S3CRETofTheSlacktestHook"
)

// Server is a workspace of Slack's on 127.0.0.1. Make it with Start or New. All methods are safe for concurrent use.
type Server struct {
	http    *webhooktest.Server
	answers fake.Answers[webhooktest.Request, Response]

	state    cond.Cond // guards the following
	messages []Message
}

// Start starts a Server that is closed when the test ends. The test ends at once if that is not possible.
func Start(t testing.TB) *Server {
	t.Helper()
	return fake.Start(t, New)
}

// New starts a Server for a program that is no test. Close it.
func New() (*Server, error) {
	server, err := webhooktest.New(webhooktest.Options{})
	if err != nil {
		return nil, err
	}
	s := &Server{http: server}
	server.Handle(s.respond)
	return s, nil
}

// Close ends all requests and frees the port. What was received can still be read.
func (s *Server) Close() { s.http.Close() }

// API is where the Web API's methods are, for slack.BotConfig.API.
func (s *Server) API() string { return s.http.URL + strings.TrimSuffix(methods, "/") }

// Hook is the URL of an incoming webhook. Any other path below /services/ that has three parts will do.
func (s *Server) Hook() string {
	return s.http.URL + hooks + hookWorkspace + "/" + hookID + "/" + hookSecret
}

// BotConfig is a complete configuration for a bot that posts to Channel of this Server, without a pause between
// messages, with a guard that allows loopback.
func (s *Server) BotConfig() slack.BotConfig {
	return slack.BotConfig{Token: secret.Literal(Token), Channel: Channel, API: s.API(), Options: s.options()}
}

// WebhookConfig is likewise one for the incoming webhook Hook.
func (s *Server) WebhookConfig() slack.WebhookConfig {
	return slack.WebhookConfig{URL: s.Hook(), Options: s.options()}
}

func (s *Server) options() slack.Options {
	c := s.http.Config()
	return slack.Options{Interval: -1, Guard: c.Guard, Limits: c.Limits}
}

// Requests returns what came so far, in the order of its arrival, whatever the answer.
func (s *Server) Requests() []webhooktest.Request { return s.http.Requests() }

// Messages returns the messages posted so far, in order, as they are now.
func (s *Server) Messages() []Message {
	s.state.Lock()
	defer s.state.Unlock()
	return slices.Clone(s.messages)
}

// Delete deletes a message, as somebody in the workspace can. It reports whether there is one.
func (s *Server) Delete(ts string) bool {
	s.state.Lock()
	defer s.state.Unlock()
	m := s.find(ts)
	if m != nil {
		m.Deleted = true
	}
	return m != nil
}

// Wait returns nil once n messages were posted in all, replies included and edits not. When ctx is done first, it
// returns an error that wraps ctx's and says how many there were.
func (s *Server) Wait(ctx context.Context, n int) error {
	have := 0
	err := s.state.Wait(ctx, func() bool {
		have = len(s.messages)
		return have >= n
	})
	if err != nil {
		return fmt.Errorf("%d of %d messages posted: %w", have, n, err)
	}
	return nil
}

// Response is what the Server answers. The zero value is as usual: what Slack answers.
type Response struct {
	// Error is Slack's word for why it refuses, such as "channel_not_found". It is answered in the form and with the
	// status that Slack uses.
	Error string
	// RetryAfter is how long to pause, in whole seconds: 429 and ratelimited.
	RetryAfter time.Duration
	// Status, Header and Body are another answer. Status 0 = 200.
	Status int
	Header http.Header
	Body   string
	// Hang never answers; the connection stays open until the client or the Server closes it.
	Hang bool
	// Drop does what was asked, and closes the connection without an answer.
	Drop bool
}

// Script appends responses to those for the next requests. Each request uses up one; without responses left, requests
// are answered by Handle's function, or as usual, and so they are for the zero Response.
func (s *Server) Script(responses ...Response) { s.answers.Script(nil, responses...) }

// Handle sets a function that answers every request from now on, but for those that Script answers. It is called by
// several goroutines at a time if several requests come. nil = as usual.
func (s *Server) Handle(f func(webhooktest.Request) Response) { s.answers.Handle(f) }

// respond answers a request.
func (s *Server) respond(in webhooktest.Request) webhooktest.Response {
	r := s.answers.Take(in)()
	switch {
	case fake.IsUsual(r):
		return s.carryOut(in)
	case r.Drop:
		s.carryOut(in)
		return webhooktest.Response{Drop: true}
	case r.Hang:
		return webhooktest.Response{Hang: true}
	case r.RetryAfter != 0:
		limited := refuse(in, "ratelimited")
		limited.Status, limited.RetryAfter = http.StatusTooManyRequests, r.RetryAfter
		return limited
	case r.Error != "":
		return refuse(in, r.Error)
	}
	return webhooktest.Response{Status: r.Status, Header: r.Header, Body: r.Body}
}
