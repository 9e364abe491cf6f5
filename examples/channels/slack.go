package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
)

const (
	botToken  = "xoxb-only-for-this-example"
	channelID = "C024BE91L"
)

// workspace imitates as much of Slack's Web API as a bot needs that posts, edits and replies.
type workspace struct {
	*httptest.Server

	mu       sync.Mutex
	issued   int // ids
	messages []*post
	changes  []change
	mentions []string // who would have been called
}

// post is a message in the channel.
type post struct {
	ts      string
	shown   []string // its lines, as they are now
	replies []reply
}

// reply is a message in the thread below a post.
type reply struct {
	shown     []string
	broadcast bool // shown in the channel too
}

// change is one request, as somebody who looks at the channel sees it.
type change struct {
	what         string // "a new message"
	lines        []string
	notification string // what a phone says; "" = nothing
}

func newWorkspace() *workspace {
	w := new(workspace)
	w.Server = httptest.NewServer(w)
	return w
}

// call is what chat.postMessage and chat.update take. The names are Slack's.
type call struct {
	Channel   string  `json:"channel"`
	TS        string  `json:"ts"`
	Thread    string  `json:"thread_ts"`
	Broadcast bool    `json:"reply_broadcast"`
	Text      string  `json:"text"`
	Blocks    []block `json:"blocks"`
}

// ServeHTTP answers as Slack does: status 200, and in the body whether it worked.
func (w *workspace) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	var c call
	ts, problem := "", "invalid_json"
	switch err := json.NewDecoder(http.MaxBytesReader(rw, r.Body, 1<<20)).Decode(&c); {
	case r.Header.Get("Authorization") != "Bearer "+botToken:
		problem = "invalid_auth"
	case err != nil:
	case c.Channel != channelID:
		problem = "channel_not_found"
	default:
		ts, problem = w.take(r.URL.Path, c)
	}
	rw.Header().Set("Content-Type", "application/json")
	if problem != "" {
		fmt.Fprintf(rw, `{"ok":false,"error":%q}`, problem)
		return
	}
	fmt.Fprintf(rw, `{"ok":true,"channel":%q,"ts":%q}`, c.Channel, ts)
}

// take carries out a call and returns the id of the message it made or changed, or Slack's word for what is wrong.
func (w *workspace) take(path string, c call) (ts, problem string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	notification, called := render(c.Text, true)
	shown, more := renderBlocks(c.Blocks)
	w.mentions = append(append(w.mentions, called...), more...)
	w.issued++
	ts = fmt.Sprintf("1795424400.%06d", w.issued)
	switch {
	case path == "/api/chat.update":
		p := w.find(c.TS)
		if p == nil {
			return "", "message_not_found"
		}
		// Only the lines that are not what they were are worth printing.
		fresh := slices.DeleteFunc(slices.Clone(shown), func(line string) bool { return slices.Contains(p.shown, line) })
		p.shown = shown
		w.changes = append(w.changes, change{what: "the message is brought up to date; new in it", lines: fresh})
		return p.ts, ""
	case path != "/api/chat.postMessage":
		return "", "unknown_method"
	case c.Thread != "":
		p := w.find(c.Thread)
		if p == nil {
			return "", "thread_not_found"
		}
		p.replies = append(p.replies, reply{shown, c.Broadcast})
		w.changes = append(w.changes, change{"a reply in its thread", shown, notification})
		return ts, ""
	default:
		w.messages = append(w.messages, &post{ts: ts, shown: shown})
		w.changes = append(w.changes, change{"a new message", shown, notification})
		return ts, ""
	}
}

func (w *workspace) find(ts string) *post {
	for _, p := range w.messages {
		if p.ts == ts {
			return p
		}
	}
	return nil
}

// takeChanges returns what happened since it was called last.
func (w *workspace) takeChanges() []change {
	w.mu.Lock()
	defer w.mu.Unlock()
	changes := w.changes
	w.changes = nil
	return changes
}

// block is a Block Kit block: a header, a section or a context line.
type block struct {
	Text     *text  `json:"text"`
	Fields   []text `json:"fields"`
	Elements []text `json:"elements"`
}

// text is text that Slack shows as it is (plain_text) or in which "<…>" has a meaning (mrkdwn).
type text struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

// renderBlocks returns the lines that people see, and whom they call.
func renderBlocks(all []block) (lines, called []string) {
	show := func(t text) string {
		s, c := render(t.Text, t.Type == "mrkdwn")
		called = append(called, c...)
		return s
	}
	for _, b := range all {
		if b.Text != nil {
			lines = append(lines, strings.Split(show(*b.Text), "\n")...)
		}
		for i := 0; i+1 < len(b.Fields); i += 2 { // two columns
			lines = append(lines, show(b.Fields[i])+" "+show(b.Fields[i+1]))
		}
		var elements []string
		for _, e := range b.Elements {
			elements = append(elements, show(e))
		}
		if elements != nil {
			lines = append(lines, strings.Join(elements, " · "))
		}
	}
	return lines, called
}

var special = regexp.MustCompile(`<([^<>|]*)(?:\|([^<>]*))?>`)

// render shows mrkdwn as Slack does: <!channel> calls people, <address|words> is a link, and &lt; is a "<" that means
// nothing.
func render(s string, mrkdwn bool) (shown string, called []string) {
	if !mrkdwn {
		return s, nil
	}
	shown = special.ReplaceAllStringFunc(s, func(all string) string {
		part := special.FindStringSubmatch(all)
		switch target, words := part[1], part[2]; {
		case strings.HasPrefix(target, "!date"):
			return words
		case strings.HasPrefix(target, "!"), strings.HasPrefix(target, "@"):
			called = append(called, target)
			return "@" + target[1:] + " (everybody's phone rings)"
		case words != "":
			return words + " (" + target + ")"
		default:
			return target
		}
	})
	return strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(shown), called
}
