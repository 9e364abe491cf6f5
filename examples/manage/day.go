package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tocsin-go/tocsin/channel/channeltest/webhooktest"
	"github.com/tocsin-go/tocsin/channel/webhook/signature"
	"github.com/tocsin-go/tocsin/dispatcher/manage"
	"github.com/tocsin-go/tocsin/event"
)

// replica is one of the services, and where its API is.
type replica struct {
	service *manage.Service
	url     string
}

// day is an administrator's.
type day struct {
	ctx      context.Context //nolint:containedctx // of the program
	out      io.Writer
	replicas []replica
	client   http.Client
	events   int
}

func (d *day) say(format string, args ...any) { fmt.Fprintf(d.out, format+"\n", args...) }

// answer is a response that was read.
type answer struct {
	status int
	etag   string
	text   string
}

// get returns a field of the answer.
func (a answer) get(field string) string {
	var all map[string]any
	if json.Unmarshal([]byte(a.text), &all) != nil || all[field] == nil {
		return ""
	}
	return fmt.Sprint(all[field])
}

// call makes a request of somebody's to a replica, and returns an error unless it is answered with that status.
func (d *day) call(r replica, who string, want int, method, path, body string, pairs ...string) (answer, error) {
	req, err := http.NewRequestWithContext(d.ctx, method, r.url+path, bytes.NewBufferString(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Authorization", "Bearer key-of-"+who)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(pairs); i += 2 {
		req.Header.Set(pairs[i], pairs[i+1])
	}
	resp, err := d.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, err
	}
	d.say("  %-6s %-45s %-7s %d %s", method, path, who, resp.StatusCode, http.StatusText(resp.StatusCode))
	if resp.StatusCode != want {
		return answer{}, fmt.Errorf("%s %s: %d, not %d: %s", method, path, resp.StatusCode, want, text)
	}
	return answer{resp.StatusCode, resp.Header.Get("ETag"), string(text)}, nil
}

// request dispatches that somebody of a tenant asks for access.
func (d *day) request(r replica, tenant string) error {
	sample, _ := event.Sample(event.TypeRequestPending)
	pending, err := event.Decode[event.RequestPending](sample)
	if err != nil {
		return err
	}
	d.events++
	pending.FriendlyID = fmt.Sprintf("AR-%d", d.events)
	e, err := event.New(pending, event.Meta{Tenant: tenant})
	if err != nil {
		return err
	}
	return r.service.Dispatch(d.ctx, e)
}

// until waits for a condition.
func (d *day) until(holds func() (bool, error)) error {
	for {
		ok, err := holds()
		if ok || err != nil {
			return err
		}
		select {
		case <-d.ctx.Done():
			return context.Cause(d.ctx)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (d *day) play() error {
	one, two := d.replicas[0], d.replicas[1]
	var failing atomic.Bool
	receiver, err := webhooktest.New(webhooktest.Options{})
	if err != nil {
		return err
	}
	defer receiver.Close()
	receiver.Handle(func(webhooktest.Request) (r webhooktest.Response) {
		if failing.Load() {
			r.Status = http.StatusServiceUnavailable
		}
		return r
	})
	for _, step := range []func() error{
		func() error { return d.create(one, receiver.URL) },
		func() error { return d.refused(one) },
		func() error { return d.stale(one, two) },
		func() error { return d.others(one) },
		func() error { return d.redeliver(one, receiver, &failing) },
		func() error { return d.rotate(one, two, receiver) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// create makes the four channels, as curl would.
func (d *day) create(r replica, receiver string) error {
	d.say("Acme creates its four channels, and one of them once more by mistake.")
	for _, c := range [][2]string{
		{"slack-webhook", `{"name": "security", "webhook_url": "` + receiver + `/slack", "event_filters": ["request.break_glass"]}`},
		{"email", `{"name": "on-call", "smtp_host": "127.0.0.1", "smtp_port": 587, "from_address": "jit@acme.example", "to_addresses": ["on-call@acme.example"], "event_filters": ["grant.failed"]}`},
		{"generic-webhook", `{"name": "siem", "url": "` + receiver + `/siem", "headers": {"X-Key": "not-a-real-key"}, "event_filters": ["request.*"], "retry": {"count": 0}, "dedup": {"window": "1s"}}`},
		{"aws-sns", `{"name": "lake", "topic_arn": "arn:aws:sns:eu-west-1:123456789012:events", "event_filters": ["grant.*"]}`},
	} {
		if _, err := d.call(r, "priya", http.StatusCreated, http.MethodPost, "/notification-channels/"+c[0], c[1]); err != nil {
			return err
		}
		if c[0] == "aws-sns" {
			if _, err := d.call(r, "priya", http.StatusOK, http.MethodPost, "/notification-channels/"+c[0], c[1]); err != nil {
				return err
			}
		}
	}
	list, err := d.call(r, "tomas", http.StatusOK, http.MethodGet, "/notification-channels", "")
	if err == nil && list.get("total") != "4" {
		err = fmt.Errorf("there are %s channels", list.get("total"))
	}
	return err
}

// refused tests a channel whose receiver refuses the connection: the request is shown all the same.
func (d *day) refused(r replica) error {
	l, err := new(net.ListenConfig).Listen(d.ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		return err
	}
	d.say("A test of a channel that is not saved yet, at a receiver that refuses the connection.")
	out, err := d.call(r, "priya", http.StatusOK, http.MethodPost, "/notification-channels/test",
		`{"event_type": "request.pending", "channel": {"type": "webhook", "url": "http://`+address+`/in"}}`)
	if err != nil {
		return err
	}
	d.say("  ended at stage %s: %s", out.get("stage"), strings.ReplaceAll(out.get("error"), address, "127.0.0.1:port"))
	if out.get("stage") != "connect" || out.get("request") == "" {
		return errors.New("the test does not show its request")
	}
	return nil
}

// stale edits a channel at both replicas: the second edit is about what is no longer there.
func (d *day) stale(one, two replica) error {
	d.say("Two administrators edit the same channel, at two replicas. The second one is told.")
	const path = "/notification-channels/siem"
	before, err := d.call(one, "priya", http.StatusOK, http.MethodGet, path, "")
	if err != nil {
		return err
	}
	edited := func(method string) (string, error) {
		var c map[string]any
		if err := json.Unmarshal([]byte(before.text), &c); err != nil {
			return "", err
		}
		settings, ok := c["channel"].(map[string]any)
		if !ok {
			return "", errors.New("the channel has no settings")
		}
		settings["method"] = method
		text, err := json.Marshal(map[string]any{"channel": settings})
		return string(text), err
	}
	put, err := edited(http.MethodPut)
	if err != nil {
		return err
	}
	after, err := d.call(one, "priya", http.StatusOK, http.MethodPut, path, put, "If-Match", before.etag)
	if err != nil {
		return err
	}
	patch, err := edited(http.MethodPatch)
	if err != nil {
		return err
	}
	if _, err := d.call(two, "priya", http.StatusPreconditionFailed, http.MethodPut, path, patch, "If-Match", before.etag); err != nil {
		return err
	}
	d.say("The second replica follows.")
	return d.until(func() (bool, error) {
		c, err := two.service.Get(d.ctx, "acme", "siem")
		return err == nil && `"`+c.ETag+`"` == after.etag, nil
	})
}

// others tries another tenant's name.
func (d *day) others(r replica) error {
	d.say("Globex asks for Acme's channel. Tomás may look, and not delete.")
	theirs, err := d.call(r, "ingrid", http.StatusNotFound, http.MethodGet, "/notification-channels/siem", "")
	if err != nil {
		return err
	}
	if strings.Contains(theirs.text, "acme") {
		return errors.New("a tenant is told of another one")
	}
	_, err = d.call(r, "tomas", http.StatusForbidden, http.MethodDelete, "/notification-channels/siem", "")
	return err
}

// redeliver has a delivery die, and delivers it again.
func (d *day) redeliver(r replica, receiver *webhooktest.Server, failing *atomic.Bool) error {
	d.say("The SIEM is down, and this channel makes no second attempt. Once it is back, the dead letter is delivered.")
	failing.Store(true)
	if err := d.request(r, "acme"); err != nil {
		return err
	}
	var upTo int64
	err := d.until(func() (bool, error) {
		letters, _, err := r.service.DeadLetters(d.ctx, "acme", manage.DeadLetterQuery{})
		if len(letters) == 1 {
			upTo = letters[0].Seq
		}
		return len(letters) == 1, err
	})
	if err != nil {
		return err
	}
	failing.Store(false)
	before := len(receiver.Requests())
	body := fmt.Sprintf(`{"channel": "siem", "up_to": %d}`, upTo)
	for _, want := range []string{"1", "0"} { // a repeat takes nothing
		out, err := d.call(r, "priya", http.StatusAccepted, http.MethodPost, "/dead-letters/redeliver", body)
		if err != nil {
			return err
		}
		if out.get("count") != want {
			return fmt.Errorf("%s dead letters, not %s", out.get("count"), want)
		}
	}
	return d.until(func() (bool, error) { return len(receiver.Requests()) == before+1, nil })
}

// rotate changes a signing secret while events go out. The receiver changes over in the middle, and refuses none.
func (d *day) rotate(one, two replica, receiver *webhooktest.Server) error {
	const old = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	d.say("A signing secret is rotated while events go out from both replicas; the receiver changes over in between.")
	c, err := d.call(one, "ingrid", http.StatusCreated, http.MethodPost, "/notification-channels",
		`{"channel": {"type": "webhook", "name": "signed", "url": "`+receiver.URL+`/signed", "sign": {"scheme": "standard_webhooks", "secret": "`+old+`"}}}`)
	if err != nil {
		return err
	}
	follows := func(etag string) error {
		return d.until(func() (bool, error) {
			got, err := two.service.Get(d.ctx, "globex", "signed")
			return err == nil && `"`+got.ETag+`"` == etag, nil
		})
	}
	secret := old
	verified := 0
	deliver := func() error {
		for _, r := range d.replicas {
			before := len(receiver.Requests())
			if err := d.request(r, "globex"); err != nil {
				return err
			}
			if err := d.until(func() (bool, error) { return len(receiver.Requests()) > before, nil }); err != nil {
				return err
			}
			verifier, err := signature.NewVerifier(signature.Standard, secret)
			if err != nil {
				return err
			}
			last := receiver.Requests()[before]
			if err := verifier.Verify(last.Header, last.Body); err != nil {
				return err
			}
			verified++
		}
		return nil
	}
	if err := errors.Join(follows(c.etag), deliver()); err != nil {
		return err
	}
	rotated, err := d.call(one, "ingrid", http.StatusOK, http.MethodPost, "/notification-channels/signed/rotate-secret", `{"overlap": "1h"}`, "If-Match", c.etag)
	if err != nil {
		return err
	}
	if err := errors.Join(deliver(), follows(rotated.etag), deliver()); err != nil { // the receiver has the old one
		return err
	}
	secret = rotated.get("secret")
	if err := deliver(); err != nil {
		return err
	}
	revoked, err := d.call(one, "ingrid", http.StatusOK, http.MethodPost, "/notification-channels/signed/revoke-previous", "")
	if err != nil {
		return err
	}
	if err := errors.Join(follows(revoked.etag), deliver()); err != nil {
		return err
	}
	d.say("  all %d deliveries were verified", verified)
	return nil
}
