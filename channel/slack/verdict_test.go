package slack_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/channeltest/slacktest"
	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/channel/slack"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// meaning is what a verdict has to be.
type meaning struct {
	verdict retry.Verdict
	gone    bool
	unknown bool
}

var (
	taken     = meaning{}
	again     = meaning{verdict: retry.VerdictTransient}
	perhaps   = meaning{verdict: retry.VerdictTransient, unknown: true}
	permanent = meaning{verdict: retry.VerdictPermanent}
	gone      = meaning{verdict: retry.VerdictPermanent, gone: true}
)

func (m meaning) check(t *testing.T, r channel.Receipt, err error) {
	t.Helper()
	assert.Equal(t, m.verdict, retry.Classify(t.Context(), err).Verdict, "%v", err)
	if m.gone {
		assert.ErrorIs(t, err, channel.ErrGone)
	} else {
		assert.NotErrorIs(t, err, channel.ErrGone)
	}
	assert.Equal(t, m.unknown, r.OutcomeUnknown)
}

func TestEveryAnswerOfAWebhookHasItsVerdict(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		status int
		body   string
		want   meaning
	}{
		{200, "ok", taken},
		{200, "ok\n", taken},
		// https://api.slack.com/changelog/2016-05-17-changes-to-errors-for-incoming-webhooks
		{400, "invalid_payload", permanent},
		{400, "user_not_found", permanent},
		{403, "action_prohibited", again},
		{404, "channel_not_found", gone},
		{410, "channel_is_archived", gone},
		{500, "rollup_error", perhaps},
		// https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
		{403, "invalid_token", gone},
		{404, "no_active_hooks", gone},
		{404, "no_service", gone},
		{404, "no_service_id", gone},
		{404, "no_team", gone},
		{410, "team_disabled", gone},
		{400, "no_text", permanent},
		{403, "posting_to_general_channel_denied", again},
		{400, "too_many_attachments", permanent},
		// Seen in practice.
		{400, "invalid_blocks", permanent},
		{400, "invalid_blocks_format", permanent},
		{400, "invalid_attachments", permanent},
		{400, "missing_text_or_fallback_or_attachments", permanent},
		{400, "msg_blocks_too_long", permanent},
		{400, "msg_too_long", permanent},
		{429, "rate_limited", again},
		{429, "ratelimited", again},
		// The status alone.
		{400, "something_new", permanent},
		{400, "Bad Request", permanent},
		{403, "", again},
		{404, "<html>", again},
		{408, "", again},
		{410, "", gone},
		{429, "no_service", again},
		{500, "", again},
		{502, "<html>", again},
		{503, "service_unavailable", again},
		// Not Slack, or a refusal with a status of success.
		{200, "<html>Log in to the guest network</html>", perhaps},
		{200, "invalid_payload", permanent},
		{200, `{"ok":false,"error":"invalid_payload"}`, permanent},
		{200, `{"success":false}`, again},
		{200, `{"success":false,"error":"Not for you"}`, again},
		{200, "rate_limited", again},
		{302, "", again},
		// Servers with Slack's interface.
		{204, "", taken},
		{200, "", taken},
		{201, "", taken},
		{200, `{"success":true}`, taken},
		{200, `{"ok":true}`, taken},
		{200, `{"result":"success","msg":""}`, taken},
		{200, "OK", taken},
		{200, "something_new", taken},
		{200, "Message posted.", taken},
	} {
		t.Run(fmt.Sprintf("%d %s", tc.status, tc.body), func(t *testing.T) {
			t.Parallel()
			w := openWorkspace(t)
			hook := w.newWebhook(nil)
			w.Script(slacktest.Response{Status: tc.status, Body: tc.body + "\n"})
			said := tc.body
			if strings.Contains(said, "invalid_payload") {
				said = "invalid_payload"
			}
			r, err := hook.Send(t.Context(), sample(t, event.TypeRequestPending))
			tc.want.check(t, r, err)
			assert.Equal(t, tc.status, r.Status)
			if err != nil && !strings.ContainsAny(said, "<> {") {
				assert.Equal(t, said, failure(t, err).Reason)
				assert.Contains(t, err.Error(), said)
			}
			assert.Equal(t, tc.status == 429 || said == "rate_limited", retry.Classify(t.Context(), err).Throttled)
		})
	}
}

// The lists are those of https://docs.slack.dev/reference/methods/chat.postMessage and …/chat.update, without what
// cannot be meant: drafts, files and the like have the verdict of their neighbours.
func TestEveryErrorOfTheAPIHasItsVerdict(t *testing.T) {
	t.Parallel()
	for want, codes := range map[meaning][]string{
		perhaps: {"fatal_error", "internal_error"},
		again: {"ratelimited", "rate_limited", "message_limit_exceeded", "request_timeout", "service_unavailable",
			"team_added_to_org", "org_login_required", "external_channel_migrating", "update_failed", "streaming_state_conflict",
			"something_new",
			// About the app, which people correct, and the token, which may have been rotated.
			"invalid_auth", "not_authed", "token_expired", "token_revoked", "account_inactive",
			"access_denied", "accesslimited", "ekm_access_denied", "enterprise_is_restricted", "messages_tab_disabled",
			"missing_scope", "no_permission", "not_allowed_token_type", "not_in_channel", "restricted_action",
			"restricted_action_read_only_channel", "restricted_action_thread_only_channel", "team_access_not_granted",
			"team_not_found", "two_factor_setup_required"},
		gone: {"channel_not_found", "is_archived", "is_inactive"},
		permanent: {"as_user_not_supported", "attachment_payload_limit_exceeded",
			"block_mismatch", "cannot_reply_to_message", "cant_broadcast_message", "cant_update_message", "deprecated_endpoint",
			"draft_already_deleted", "draft_already_sent", "draft_has_conflict", "draft_not_found", "duplicate_channel_not_found",
			"duplicate_message_not_found", "edit_window_closed", "invalid_arg_name",
			"invalid_arguments", "invalid_array_arg", "invalid_attachments", "invalid_blocks",
			"invalid_blocks_format", "invalid_charset", "invalid_form_data", "invalid_metadata_format", "invalid_metadata_schema",
			"invalid_post_type", "markdown_text_conflict", "message_not_found",
			"metadata_must_be_sent_from_app", "metadata_too_large", "method_deprecated", "missing_file_data", "missing_post_type",
			"msg_blocks_too_long", "msg_too_long", "no_dual_broadcast_content_update", "no_text",
			"restricted_action_non_threadable_channel", "restricted_action_thread_locked",
			"slack_connect_canvas_sharing_blocked", "slack_connect_file_link_sharing_blocked", "slack_connect_lists_sharing_blocked",
			"thread_not_found", "too_many_attachments", "too_many_contact_cards"},
	} {
		for _, code := range codes {
			t.Run(code, func(t *testing.T) {
				t.Parallel()
				w := openWorkspace(t)
				bot := w.newBot(nil)
				w.Script(slacktest.Response{Status: 200, Body: `{"ok":false,"error":"` + code + `"}`})
				r, err := bot.Send(t.Context(), sample(t, event.TypeRequestPending))
				want.check(t, r, err)
				e := failure(t, err)
				assert.Equal(t, webhook.KindRefused, e.Kind)
				assert.Equal(t, code, e.Reason)
				assert.Contains(t, err.Error(), "POST "+w.url+": answered 200 OK: "+code)
			})
		}
	}
}

func TestOtherAnswersOfTheAPI(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		slacktest.Response
		want meaning
		id   string
	}{
		"taken":                       {slacktest.Response{Status: 200, Body: `{"ok":true,"channel":"C1","ts":"1503435956.000247"}`}, taken, "1503435956.000247"},
		"taken with a warning":        {slacktest.Response{Status: 200, Body: `{"ok":true,"ts":"1.2","warning":"superfluous_charset"}`}, taken, "1.2"},
		"not JSON":                    {slacktest.Response{Status: 200, Body: `<html>Log in</html>`}, perhaps, ""},
		"not an object":               {slacktest.Response{Status: 200, Body: `"ok"`}, perhaps, ""},
		"neither ok nor error":        {slacktest.Response{Status: 200, Body: `{}`}, perhaps, ""},
		"an error that is no code":    {slacktest.Response{Status: 200, Body: `{"ok":false,"error":"Priya Nair\nis not allowed"}`}, perhaps, ""},
		"429":                         {slacktest.Response{Status: 429, Body: `{"ok":false,"error":"ratelimited"}`}, again, ""},
		"429 with an empty body":      {slacktest.Response{Status: 429, Body: "\n"}, again, ""},
		"503":                         {slacktest.Response{Status: 503, Body: `<html>`}, again, ""},
		"500 fatal_error":             {slacktest.Response{Status: 500, Body: `{"ok":false,"error":"fatal_error"}`}, perhaps, ""},
		"404":                         {slacktest.Response{Status: 404, Body: `<html>`}, again, ""},
		"401 invalid_auth":            {slacktest.Response{Status: 401, Body: `{"ok":false,"error":"invalid_auth"}`}, again, ""},
		"ok with a status of error":   {slacktest.Response{Status: 503, Body: `{"ok":true,"ts":"1.2"}`}, again, "1.2"},
		"a response that breaks off":  {slacktest.Response{Drop: true}, perhaps, ""},
		"a response of another shape": {slacktest.Response{Status: 200, Body: `{"ok":"yes"}`}, perhaps, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := openWorkspace(t)
			bot := w.newBot(nil)
			w.Script(tc.Response)
			r, err := bot.Send(t.Context(), sample(t, event.TypeRequestPending))
			tc.want.check(t, r, err)
			assert.Equal(t, tc.id, r.ProviderID)
			if err != nil {
				assert.NotContains(t, err.Error(), "Priya")
			}
		})
	}
}

// Retry-After is honoured, and until then nothing else is sent either: Slack may revoke an app that goes on.
func TestRetryAfterKeepsEverythingBack(t *testing.T) {
	t.Parallel()
	limited := slacktest.Response{RetryAfter: 30 * time.Second}
	for name, open := range map[string]func(*workspace) channel.Channel{
		"webhook": func(w *workspace) channel.Channel { return w.newWebhook(nil) },
		"bot":     func(w *workspace) channel.Channel { return w.newBot(nil) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := openWorkspace(t)
			c := open(w)
			w.Script(limited)
			_, err := c.Send(t.Context(), sample(t, event.TypeRequestPending))
			assert.Equal(t, retry.Result{Verdict: retry.VerdictTransient, Delay: 30 * time.Second, Throttled: true}, retry.Classify(t.Context(), err))

			r, err := c.Send(t.Context(), sample(t, event.TypeGrantActive))
			require.ErrorIs(t, err, slack.ErrPaced)
			got := retry.Classify(t.Context(), err)
			assert.Equal(t, retry.VerdictPostponed, got.Verdict)
			assert.InDelta(t, 30, got.Delay.Seconds(), 10)
			assert.Equal(t, channel.Receipt{}, r)
			assert.Len(t, w.Requests(), 1)
		})
	}
}

// A token that was rotated is read again when Slack refuses the old one, not a minute later.
func TestARefusedTokenIsReadAgain(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"invalid_auth", "token_expired", "token_revoked", "account_inactive", "not_authed"} {
		w := openWorkspace(t)
		var asked atomic.Int32
		source := secret.Func("vault", func(context.Context) ([]byte, error) {
			if asked.Add(1) == 1 {
				return []byte("xoxb-0LD-S3CRET"), nil
			}
			return []byte(token), nil
		})
		bot := w.newBot(func(c *slack.BotConfig) { c.Token = source })
		w.Script(slacktest.Response{Status: 200, Body: `{"ok":false,"error":"` + code + `"}`})
		_, err := bot.Send(t.Context(), sample(t, event.TypeRequestPending))
		assert.Equal(t, retry.Result{Verdict: retry.VerdictTransient}, retry.Classify(t.Context(), err), code)
		_, err = bot.Send(t.Context(), sample(t, event.TypeRequestPending))
		require.NoError(t, err, code)
		assert.EqualValues(t, 2, asked.Load(), code)
	}
}

// A webhook's URL is a credential as well.
func TestARotatedWebhookIsNoGoneOne(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"no_service", "invalid_token", "no_active_hooks", "no_service_id"} {
		w := openWorkspace(t)
		var asked atomic.Int32
		mask := secret.Mask{Replacement: "{hook}", Value: secret.Func("vault", func(context.Context) ([]byte, error) {
			if asked.Add(1) == 1 {
				return []byte("T0/B0/0LD-S3CRET"), nil
			}
			return []byte(hookKey(w.Server)), nil
		})}
		hook := w.newWebhook(func(c *slack.WebhookConfig) {
			c.URL, c.Masks = w.url+"/services/{hook}", []secret.Mask{mask}
		})
		w.Script(slacktest.Response{Status: 404, Body: code})
		_, err := hook.Send(t.Context(), sample(t, event.TypeRequestPending))
		require.NotErrorIs(t, err, channel.ErrGone)
		assert.Equal(t, retry.Result{Verdict: retry.VerdictTransient}, retry.Classify(t.Context(), err), code)
		_, err = hook.Send(t.Context(), sample(t, event.TypeRequestPending))
		require.NoError(t, err, code)
	}
}

func FuzzAnswer(f *testing.F) {
	for _, s := range []string{"ok", "no_service", `{"ok":true,"ts":"1.2"}`, `{"ok":false,"error":"is_archived"}`, `{"ok":false,"error":"a b"}`, "", "<html>", "\xff"} {
		f.Add(200, s)
		f.Add(429, s)
	}
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 200 || status > 599 {
			return
		}
		verdict := retry.VerdictSuccess
		if status > 299 {
			verdict = webhook.DefaultVerdicts(status)
		}
		for _, read := range slack.Readers() {
			r := read(webhook.Response{Status: status, Body: []byte(body)}, verdict)
			if r.Verdict == retry.VerdictSuccess && (status > 299 || r.Reason != "") {
				t.Fatalf("taken: %+v", r)
			}
			if status == 429 && r.Verdict != retry.VerdictTransient {
				t.Fatalf("429: %+v", r)
			}
			if strings.ContainsAny(strings.ReplaceAll(r.Reason, "unexpected response", ""), " \n<>\"") {
				t.Fatalf("a reason that is no code: %q", r.Reason)
			}
		}
	})
}
