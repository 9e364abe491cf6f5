package preset_test

import (
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/webhook"
	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/retry"
)

// row is one row of a product's table of answers.
type row struct {
	answer
	want   retry.Verdict
	gone   bool
	delay  time.Duration // at least half of it, at most that
	reason string
	open   bool // the receipt says that the outcome is unknown
}

func status(code int, want retry.Verdict) row { return row{answer: answer{status: code}, want: want} }

// byDefault is a refusal that says nothing of its own: package webhook's table decides.
func byDefault(code int, body, reason string) row {
	if webhook.DefaultVerdicts(code) == retry.VerdictTransient {
		return said(code, body, retry.VerdictTransient, reason)
	}
	return said(code, body, retry.VerdictPermanent, reason)
}

func said(code int, body string, want retry.Verdict, reason string) row {
	return row{answer: answer{status: code, body: body}, want: want, reason: reason}
}

// inHalfAMinute is when a window ends, in the form each product has.
func inHalfAMinute() time.Time { return time.Now().Add(30 * time.Second) }

// answers returns each product's table: what it answers and what that means.
func answers() map[string][]row {
	const final, transient, success = retry.VerdictPermanent, retry.VerdictTransient, retry.VerdictSuccess
	throttled := func(name, value string, delay time.Duration) row {
		return row{answer: answer{429, map[string]string{name: value}, ""}, want: transient, delay: delay}
	}
	open := func(code int) row { return row{answer: answer{status: code}, want: transient, open: true} }
	return map[string][]row{
		"sendgrid": {
			status(202, success),
			byDefault(200, "", ""), // what a sandbox answers
			said(400, `{"errors":[{"message":"the from <evil> is bad","field":"from.email","help":"x"}]}`, final, "from.email"),
			said(400, `{"errors":[{"message":"Bad Request","field":null}]}`, final, ""),
			said(403, `{"errors":[{"message":"The from address does not match a verified Sender Identity.","field":"from"}]}`, final, "from"),
			byDefault(401, "", ""), byDefault(403, "", ""), byDefault(404, "", ""), status(405, final), status(413, final),
			throttled("X-RateLimit-Reset", strconv.FormatInt(inHalfAMinute().Unix(), 10), 30*time.Second),
			open(500), status(503, transient),
		},
		"pagerduty": {
			said(202, `{"status":"success","message":"Event processed","dedup_key":"k"}`, success, ""), byDefault(200, "", ""),
			said(400, `{"status":"invalid event","message":"Event object is invalid","errors":["'routing_key' is invalid"]}`, final, ""),
			{answer: answer{status: 429}, want: transient, delay: 30 * time.Second},
			throttled("Retry-After", "120", 2*time.Minute),
			status(500, transient), status(502, transient), status(503, transient),
		},
		"teams": {
			status(202, success), status(200, success),
			said(200, "1", success, ""),
			status(400, final), byDefault(401, "", ""), byDefault(403, "", ""), byDefault(404, "", ""), status(413, final),
			throttled("Retry-After", "10", 10*time.Second),
			status(429, transient), status(500, transient), status(502, transient), status(503, transient), status(504, transient),
		},
		"discord": {
			said(200, `{"id":"1199737254929760256"}`, success, ""),
			said(400, `{"code":50035,"message":"Invalid Form Body","errors":{}}`, final, "code 50035"),
			byDefault(401, `{"code":50027,"message":"Invalid Webhook Token"}`, "code 50027"),
			byDefault(403, "", ""), byDefault(404, "", ""), status(405, final), byDefault(204, "", ""),
			{answer: answer{404, nil, `{"message":"Unknown Webhook","code":10015}`}, want: final, gone: true, reason: "code 10015"},
			{answer: answer{429, nil, `{"message":"You are being rate limited.","retry_after":0.75,"global":false}`}, want: transient, delay: 750 * time.Millisecond},
			{answer: answer{429, map[string]string{"Retry-After": "99"}, `{"retry_after":64.57,"global":false,"code":20028}`}, want: transient, delay: 64570 * time.Millisecond, reason: "code 20028"},
			throttled("X-RateLimit-Reset-After", "1.5", 1500*time.Millisecond),
			throttled("X-RateLimit-Reset", fmt.Sprintf("%d.250", inHalfAMinute().Unix()), 31*time.Second),
			throttled("Retry-After", "65", 65*time.Second), // of the network in front of Discord, with a page
			status(500, transient), status(502, transient),
		},
		"jira": {
			said(201, `{"key":"PAM-24"}`, success, ""), byDefault(200, "", ""), status(201, success),
			said(400, `{"errorMessages":[],"errors":{"priority":"is required","customfield_10041":"<evil>"}}`, final, "customfield_10041"),
			said(400, `{"errorMessages":["CONTENT_LIMIT_EXCEEDED"],"errors":{}}`, final, ""),
			byDefault(401, "", ""), byDefault(403, "", ""), byDefault(404, "", ""),
			throttled("Retry-After", "40", 40*time.Second),
			throttled("X-RateLimit-Reset", inHalfAMinute().UTC().Format(time.RFC3339), 30*time.Second),
			{answer: answer{503, map[string]string{"Retry-After": "20"}, ""}, want: transient, delay: 20 * time.Second},
			open(500), open(502), open(504),
		},
		"servicenow": {
			said(201, `{"result":{"sys_id":"d977b66a4f411200adf9f8e18110c7b2"}}`, success, ""),
			byDefault(200, "<html>Hibernating Instance</html>", ""), status(201, success),
			status(400, final),
			byDefault(401, `{"error":{"message":"User Not Authenticated","detail":"Required"},"status":"failure"}`, ""),
			byDefault(403, "", ""), byDefault(404, "", ""),
			throttled("Retry-After", "60", time.Minute),
			status(429, transient), open(500), status(503, transient),
		},
		"splunk": {
			said(200, `{"text":"Success","code":0}`, success, ""), said(200, `{"text":"Success","code":0,"ackId":7}`, success, ""),
			said(200, "\ufeff"+`{"text":"Success","code":0}`, success, ""),
			byDefault(401, `{"text":"Token is required","code":2}`, "code 2"), byDefault(401, `{"text":"Invalid authorization","code":3}`, "code 3"),
			byDefault(403, `{"text":"Token disabled","code":1}`, "code 1"), byDefault(403, `{"text":"Invalid token","code":4}`, "code 4"),
			said(400, `{"text":"No data","code":5}`, final, "code 5"), said(400, `{"text":"Invalid data format","code":6,"invalid-event-number":0}`, final, "code 6"),
			said(400, `{"text":"Incorrect index","code":7}`, final, "code 7"),
			said(500, `{"text":"Internal server error","code":8}`, transient, "code 8"), said(503, `{"text":"Server is busy","code":9}`, transient, "code 9"),
			said(200, `{"text":"Server is busy","code":9}`, transient, "code 9"), said(200, `{"text":"Token disabled","code":1}`, transient, "code 1"), said(200, `{"text":"Incorrect index","code":7}`, final, "code 7"),
			status(413, final),
		},
		"datadog": {
			said(202, `{"status":"ok","event":{"id":7412345678901234567}}`, success, ""), said(200, `{"status":"ok"}`, success, ""),
			said(400, `{"errors":["bad"]}`, final, ""), byDefault(403, `{"errors":["Forbidden"]}`, ""),
			status(408, transient), throttled("X-RateLimit-Reset", "25", 25*time.Second), status(429, transient), status(500, transient), status(503, transient),
		},
	}
}

// TestWhatAnswersMean goes through each product's table against a real receiver.
func TestWhatAnswersMean(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, p product) {
		rows := answers()[p.name]
		require.NotEmpty(t, rows)
		for _, r := range rows {
			what := fmt.Sprintf("%d %v %s", r.status, r.header, r.body)
			receiver, _ := receive(t, r.answer)
			receipt, err := open(t, p.config(), receiver).Send(t.Context(), delivery(sample(t, event.TypeRequestPending)))
			got := retry.Classify(t.Context(), err)
			assert.Equal(t, r.want, got.Verdict, what)
			assert.Equal(t, r.status, receipt.Status, what)
			assert.Equal(t, r.gone, errors.Is(err, channel.ErrGone), what)
			assert.Equal(t, r.open, receipt.OutcomeUnknown, what)
			assert.LessOrEqual(t, got.Delay, r.delay, what)
			assert.GreaterOrEqual(t, got.Delay, r.delay/2, what)
			if err == nil {
				continue
			}
			e, ok := errors.AsType[*webhook.Error](err)
			require.True(t, ok, what)
			assert.Equal(t, r.reason, e.Reason, what)
			assert.NotContains(t, err.Error(), "evil", what)
		}
	})
}
