package slack

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/retry"
)

const tooManyRequests = http.StatusTooManyRequests

// hookVerdict says what an incoming webhook means by a response's text. Sources: the list of
// https://api.slack.com/changelog/2016-05-17-changes-to-errors-for-incoming-webhooks (read 2026-11), and that of
// https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks as several clients repeat it. Those about
// attachments, blocks and rates at the end are seen in practice only.
func hookVerdict(code string) (retry.Verdict, bool) {
	if hookIsGone(code) {
		return retry.VerdictPermanent, true
	}
	switch code {
	case "rollup_error", "rate_limited", "ratelimited":
		return retry.VerdictTransient, true
	case "action_prohibited", "posting_to_general_channel_denied": // an administrator can allow it
		return retry.VerdictTransient, true
	case "invalid_payload", "no_text", "too_many_attachments", "user_not_found",
		"invalid_attachments", "invalid_blocks", "invalid_blocks_format", "missing_text_or_fallback_or_attachments",
		"msg_blocks_too_long", "msg_too_long":
		return retry.VerdictPermanent, true
	}
	return 0, false
}

// hookIsGone reports whether an incoming webhook, its channel or its workspace is gone. An archived channel can be
// opened again and a webhook be enabled, but only by an administrator. Until then nothing that is sent arrives.
func hookIsGone(code string) bool {
	switch code {
	case "channel_is_archived", "channel_not_found", "no_team", "team_disabled":
		return true
	}
	return unknownHook(code)
}

// channelIsGone is the same of the channel that an app posts to.
func channelIsGone(code string) bool {
	return code == "channel_not_found" || code == "is_archived" || code == "is_inactive"
}

// apiVerdict says what an error of chat.postMessage, chat.update or auth.test means. Source: the methods' error lists
// at https://docs.slack.dev/reference/methods, in copies read 2026-11; thread_not_found is conversations.replies' and a
// guess here. The lists add that other errors may come when the service is down, so what is not listed is worth another
// attempt.
func apiVerdict(code string) retry.Verdict {
	if channelIsGone(code) {
		return retry.VerdictPermanent
	}
	switch code {
	case "restricted_action_non_threadable_channel", "restricted_action_thread_locked", "cannot_reply_to_message",
		"message_not_found", "thread_not_found", "cant_update_message", "edit_window_closed", "block_mismatch",
		"cant_broadcast_message", "no_dual_broadcast_content_update",
		"msg_too_long", "msg_blocks_too_long", "no_text", "invalid_blocks", "invalid_blocks_format",
		"invalid_attachments", "too_many_attachments", "attachment_payload_limit_exceeded", "too_many_contact_cards",
		"missing_file_data", "markdown_text_conflict",
		"invalid_metadata_format", "invalid_metadata_schema", "metadata_must_be_sent_from_app", "metadata_too_large",
		"slack_connect_canvas_sharing_blocked", "slack_connect_file_link_sharing_blocked",
		"slack_connect_lists_sharing_blocked",
		"draft_already_deleted", "draft_already_sent", "draft_has_conflict", "draft_not_found",
		"duplicate_channel_not_found", "duplicate_message_not_found", "as_user_not_supported",
		"invalid_arguments", "invalid_arg_name", "invalid_array_arg", "invalid_charset", "invalid_form_data",
		"invalid_post_type", "missing_post_type", "invalid_json", "json_not_object",
		"deprecated_endpoint", "method_deprecated":
		return retry.VerdictPermanent
	default:
		// fatal_error, internal_error, ratelimited, rate_limited, request_timeout, service_unavailable, …; and what is
		// about the app and not about the message, which people correct: invalid_auth, missing_scope, not_in_channel,
		// restricted_action, team_access_not_granted, …
		return retry.VerdictTransient
	}
}

// unauthorized reports whether Slack refuses the token.
func unauthorized(code string) bool {
	switch code {
	case "invalid_auth", "not_authed", "token_expired", "token_revoked", "account_inactive":
		return true
	}
	return false
}

// unknownHook reports whether Slack does not know a webhook's URL.
func unknownHook(code string) bool {
	switch code {
	case "no_active_hooks", "no_service", "no_service_id", "invalid_token":
		return true
	}
	return false
}

// contentRefused reports whether Slack refuses what a message holds.
func contentRefused(code string) bool {
	switch code {
	case "invalid_payload", "no_text", "msg_too_long", "msg_blocks_too_long", "invalid_blocks", "invalid_blocks_format",
		"invalid_attachments", "too_many_attachments", "attachment_payload_limit_exceeded", "too_many_contact_cards",
		"missing_text_or_fallback_or_attachments", "invalid_arguments", "invalid_metadata_format", "invalid_metadata_schema",
		"metadata_too_large", "markdown_text_conflict", "user_not_found":
		return true
	}
	return false
}

// isRateLimited reports whether Slack refuses because of its rate limit.
func isRateLimited(code string) bool { return code == "ratelimited" || code == "rate_limited" }

// maybeDone reports whether Slack may have done what it was asked before it failed.
func maybeDone(code string) bool {
	return code == "fatal_error" || code == "internal_error" || code == "rollup_error"
}

// headlineGone reports whether the message that was to be updated or replied to cannot be found or added to any more.
func headlineGone(code string) bool {
	switch code {
	case "message_not_found", "thread_not_found", "cannot_reply_to_message",
		"restricted_action_thread_locked", "restricted_action_non_threadable_channel":
		return true
	}
	return false
}

// notEditable reports whether the message is there and can only not be changed.
func notEditable(code string) bool {
	return code == "cant_update_message" || code == "edit_window_closed" || code == "block_mismatch"
}

// readHook reads a response of an incoming webhook: "ok", or a word that says what is wrong. Servers with Slack's
// interface answer a success with anything; what they answer with a 2xx is a refusal only if it says so.
func readHook(a webhook.Response, v retry.Verdict) webhook.Reading {
	said := string(bytes.TrimSpace(a.Body))
	if v == retry.VerdictSuccess && strings.HasPrefix(said, "<") { // a portal or proxy in between
		return webhook.Reading{Verdict: retry.VerdictTransient, Reason: unexpected, OutcomeUnknown: true}
	}
	refused := v != retry.VerdictSuccess
	if code, ok := refusal(a.Body); ok {
		said, refused = code, true
	}
	if !isCode(said) {
		if refused && v == retry.VerdictSuccess {
			return webhook.Reading{Verdict: retry.VerdictTransient, Reason: unexpected}
		}
		return webhook.Reading{Verdict: v}
	}
	listed, known := hookVerdict(said)
	switch {
	case a.Status == tooManyRequests:
		return webhook.Reading{Verdict: retry.VerdictTransient, Reason: said}
	case known:
		v = listed
	case !refused:
		return webhook.Reading{Verdict: v}
	case v == retry.VerdictSuccess:
		v = retry.VerdictTransient
	}
	return webhook.Reading{Verdict: v, Gone: hookIsGone(said), Reason: said, RetryAfter: rateLimitPause(a, said), OutcomeUnknown: maybeDone(said)}
}

// unexpected is the reason of what is no response of Slack's.
const unexpected = "unexpected response"

// refusal reads {"ok":false}, {"success":false} and their like, with the code if there is one.
func refusal(body []byte) (code string, ok bool) {
	var said struct {
		OK      *bool           `json:"ok"`
		Success *bool           `json:"success"`
		Error   json.RawMessage `json:"error"`
	}
	if json.Unmarshal(body, &said) != nil || (said.OK == nil || *said.OK) && (said.Success == nil || *said.Success) {
		return "", false
	}
	_ = json.Unmarshal(said.Error, &code) // another kind of value is none
	return code, true
}

// rateLimitPause is how long to pause when only the body names the rate limit.
func rateLimitPause(a webhook.Response, code string) time.Duration {
	if isRateLimited(code) && a.Status != tooManyRequests && a.Header.Get("Retry-After") == "" {
		return defaultInterval
	}
	return 0
}

// readAPI reads a response of the Web API, which says in its body whether it did what it was asked
// (https://docs.slack.dev/apis/web-api#evaluating-responses).
func readAPI(a webhook.Response, v retry.Verdict) webhook.Reading {
	var said struct {
		OK    bool   `json:"ok"`
		Error string `json:"error"`
		TS    string `json:"ts"`
	}
	if json.Unmarshal(a.Body, &said) != nil || !said.OK && !isCode(said.Error) {
		if v == retry.VerdictSuccess {
			return webhook.Reading{Verdict: retry.VerdictTransient, Reason: unexpected, OutcomeUnknown: true}
		}
		return webhook.Reading{Verdict: v}
	}
	if said.OK {
		return webhook.Reading{Verdict: v, ProviderID: said.TS}
	}
	r := webhook.Reading{
		Verdict: apiVerdict(said.Error), Gone: channelIsGone(said.Error), Reason: said.Error,
		RetryAfter: rateLimitPause(a, said.Error), OutcomeUnknown: maybeDone(said.Error),
	}
	if a.Status == tooManyRequests {
		r.Verdict = retry.VerdictTransient
	}
	return r
}

// isCode reports whether s looks like one of Slack's error codes, which are words of lower case letters and digits.
func isCode(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return s != "" && len(s) <= 100
}
