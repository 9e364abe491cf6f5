package slacktest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/tocsin-go/tocsin/channel/channeltest/webhooktest"
)

// Where Slack's interfaces are.
const (
	methods = "/api/"
	hooks   = "/services/"
)

// call is what the interfaces take. The names are Slack's.
type call struct {
	Channel     string          `json:"channel"`
	TS          string          `json:"ts"`
	Thread      string          `json:"thread_ts"`
	Broadcast   bool            `json:"reply_broadcast"`
	Text        string          `json:"text"`
	Blocks      json.RawMessage `json:"blocks"`
	Attachments json.RawMessage `json:"attachments"`
}

func isHook(in webhooktest.Request) bool { return strings.HasPrefix(in.URI, hooks) }

// refuse answers with an error of Slack's: as the whole body and with a status to a webhook, in an object with 200 to a
// bot.
func refuse(in webhooktest.Request, code string) webhooktest.Response {
	if !isHook(in) {
		return object(map[string]any{"ok": false, "error": code})
	}
	status := http.StatusBadRequest
	switch code {
	case "action_prohibited", "invalid_token", "posting_to_general_channel_denied":
		status = http.StatusForbidden
	case "channel_not_found", "no_active_hooks", "no_service", "no_service_id", "no_team":
		status = http.StatusNotFound
	case "channel_is_archived", "team_disabled":
		status = http.StatusGone
	case "rate_limited", "ratelimited":
		status = http.StatusTooManyRequests
	case "rollup_error":
		status = http.StatusInternalServerError
	}
	return webhooktest.Response{Status: status, Body: code}
}

// object is an answer of the Web API.
func object(v map[string]any) webhooktest.Response {
	body, err := json.Marshal(v)
	if err != nil {
		return webhooktest.Response{Status: http.StatusInternalServerError, Body: err.Error()}
	}
	return webhooktest.Response{Header: http.Header{"Content-Type": {"application/json; charset=utf-8"}}, Body: string(body)}
}

// carryOut does what Slack does.
func (s *Server) carryOut(in webhooktest.Request) webhooktest.Response {
	if isHook(in) {
		return s.hook(in)
	}
	return s.method(in)
}

func (s *Server) hook(in webhooktest.Request) webhooktest.Response {
	var c call
	switch err := json.Unmarshal(in.Body, &c); {
	case strings.Count(strings.Trim(in.URI, "/"), "/") != 3:
		return refuse(in, "no_service")
	case err != nil || in.Method != http.MethodPost:
		return refuse(in, "invalid_payload")
	}
	if code := contentError(in.Body, c); code != "" {
		return refuse(in, code)
	}
	c.Channel, c.Thread = in.URI, ""
	s.post(c)
	return webhooktest.Response{Body: "ok"}
}

func (s *Server) method(in webhooktest.Request) webhooktest.Response {
	method := strings.TrimPrefix(in.URI, methods)
	var c call
	err := json.Unmarshal(in.Body, &c)
	switch {
	case in.Header.Get("Authorization") == "":
		return refuse(in, "not_authed")
	case in.Header.Get("Authorization") != "Bearer "+Token:
		return refuse(in, "invalid_auth")
	case method == "auth.test":
		return object(map[string]any{"ok": true, "team": "Example", "user_id": "W12345678"})
	case method != "chat.postMessage" && method != "chat.update":
		return refuse(in, "unknown_method")
	case !strings.HasPrefix(in.Header.Get("Content-Type"), "application/json"):
		return refuse(in, "invalid_post_type")
	case err != nil:
		return refuse(in, "invalid_json")
	case c.Channel == "":
		return refuse(in, "channel_not_found")
	}
	if code := contentError(in.Body, c); code != "" {
		return refuse(in, code)
	}
	if method == "chat.postMessage" {
		return accept(s.post(c))
	}
	m, code := s.update(c)
	if code != "" {
		return refuse(in, code)
	}
	return accept(m)
}

// accept is the Web API's answer about a message that it took.
func accept(m Message) webhooktest.Response {
	return object(map[string]any{
		"ok": true, "channel": m.Channel, "ts": m.TS, "message": map[string]any{"type": "message", "text": m.Text, "blocks": m.Blocks},
	})
}

// contentError is Slack's word for what is wrong with a message; "" = nothing.
func contentError(raw []byte, c call) string {
	switch {
	case c.Text == "" && isEmpty(c.Blocks) && isEmpty(c.Attachments):
		return "no_text"
	case len([]rune(c.Text)) > maxText:
		return "msg_too_long"
	case Faults(raw) != nil:
		return "invalid_blocks"
	}
	return ""
}

// post adds a message to the channel.
func (s *Server) post(c call) Message {
	s.state.Lock()
	defer s.state.Unlock()
	if parent := s.find(c.Thread); parent == nil || parent.Deleted || parent.Channel != c.Channel {
		c.Thread = "" // what Slack does without a word
	}
	m := Message{
		Channel: c.Channel, TS: fmt.Sprintf("1503435956.%06d", len(s.messages)+1),
		ThreadTS: c.Thread, Broadcast: c.Thread != "" && c.Broadcast,
	}
	m.fill(c)
	s.messages = append(s.messages, m)
	s.state.Broadcast()
	return m
}

// update changes a message, or returns Slack's word for why it cannot.
func (s *Server) update(c call) (Message, string) {
	s.state.Lock()
	defer s.state.Unlock()
	m := s.find(c.TS)
	if m == nil || m.Deleted || m.Channel != c.Channel {
		return Message{}, "message_not_found"
	}
	m.Edits++
	m.fill(c)
	return *m, ""
}

// find returns a message; nil = there is none. s.state is locked.
func (s *Server) find(ts string) *Message {
	for i := range s.messages {
		if s.messages[i].TS == ts {
			return &s.messages[i]
		}
	}
	return nil
}
