package webhook

import (
	"context"
	"encoding/json"

	"github.com/tocsin-go/tocsin/channel"
)

// AlertBody is the flat alert that directory platforms send to webhooks: a JSON object with exactly 17 fields, those of
// event.Alert, as they are in the event's data. It is for events whose data has them all, each a text, number, boolean
// or null: those of package event and a host's own. Another event is a permanent error of kind [KindRender].
func AlertBody() Body { return Body{source: alertBody{}} }

type alertBody struct{}

func (alertBody) kind() string { return "alert" }

func (alertBody) contentType() (string, bool) { return jsonType, false }

func (alertBody) check(string) *channel.ConfigError { return nil }

func (alertBody) mayHold(fromEvent bool) bool { return fromEvent }

func (alertBody) fill(_ context.Context, in bodyInput, r *rendering) error {
	var data map[string]json.RawMessage
	if err := json.Unmarshal(in.delivery.Event.Data(), &data); err != nil {
		return &invalidBodyError{"the event's data is not an object"}
	}
	body := make([]byte, 0, len(in.delivery.Event.Data()))
	separator := byte('{')
	// The receiver's list, not that of the fields of event.Alert, to which some may be added one day.
	for _, name := range [...]string{
		"alert_id", "alert_title", "category", "description", "di_event", "event_description", "initiated_by", "occurred_at",
		"previous_alert_status", "priority", "rule_id", "source_id", "source_name", "source_type", "source_url", "status",
		"update_at",
	} {
		value, ok := data[name]
		if !ok || value[0] == '{' || value[0] == '[' {
			return &invalidBodyError{"the event is not an alert: its data has no " + name}
		}
		body = append(body, separator, '"')
		body = append(body, name...)
		body = append(body, '"', ':')
		body = append(body, value...)
		separator = ','
	}
	r.body = append(body, '}')
	return nil
}
