package event_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/event"
)

// payloads has one value of every Go type of the catalogue, with the type it is documented to have.
var payloads = []struct {
	typ     event.Type
	payload event.Payload
}{
	{"request.pending", event.RequestPending{}},
	{"request.approved", event.RequestApproved{}},
	{"request.denied", event.RequestDenied{}},
	{"request.expired", event.RequestExpired{}},
	{"request.break_glass", event.RequestBreakGlass{}},
	{"grant.active", event.GrantActive{}},
	{"grant.expiring_soon", event.GrantExpiringSoon{}},
	{"grant.expired", event.GrantExpired{}},
	{"grant.revoked", event.GrantRevoked{}},
	{"grant.failed", event.GrantFailed{}},
	{"session.started", event.SessionStarted{}},
	{"session.ended", event.SessionEnded{}},
	{"session.member_joined", event.SessionMemberJoined{}},
	{"session.member_left", event.SessionMemberLeft{}},
	{"application_access.requested", event.ApplicationAccessRequested{}},
	{"application_access.decided", event.ApplicationAccessDecided{}},
	{"alert.opened", event.AlertOpened{}},
	{"alert.acknowledged", event.AlertAcknowledged{}},
	{"alert.resolved", event.AlertResolved{}},
	{"alert.auto_resolved", event.AlertAutoResolved{}},
	{"tocsin.channel_failing", event.ChannelFailing{}},
	{"tocsin.channel_recovered", event.ChannelRecovered{}},
	{"tocsin.channel_disabled", event.ChannelDisabled{}},
	{"tocsin.delivery_dead", event.DeliveryDead{}},
	{"tocsin.channel_created", event.ChannelCreated{}},
	{"tocsin.channel_updated", event.ChannelUpdated{}},
	{"tocsin.channel_deleted", event.ChannelDeleted{}},
	{"tocsin.channel_enabled", event.ChannelEnabled{}},
	{"tocsin.channel_switched_off", event.ChannelSwitchedOff{}},
	{"tocsin.channel_paused", event.ChannelPaused{}},
	{"tocsin.channel_tested", event.ChannelTested{}},
	{"tocsin.secret_rotated", event.SecretRotated{}},
	{"tocsin.config_imported", event.ConfigImported{}},
	{"tocsin.config_broken", event.ConfigBroken{}},
	{"tocsin.dead_redelivered", event.DeadRedelivered{}},
	{"tocsin.dead_discarded", event.DeadDiscarded{}},
}

func TestCatalogue(t *testing.T) {
	t.Parallel()
	var want []event.Type
	for _, p := range payloads {
		assert.Equal(t, p.typ, p.payload.EventType(), "%T", p.payload)
		want = append(want, p.typ)
	}
	assert.Equal(t, want, event.Catalogue())

	for _, typ := range event.Catalogue() {
		e, ok := event.Sample(typ)
		require.True(t, ok)
		assert.Equal(t, typ, e.Type())
		assert.NotEmpty(t, e.Subject(), typ)
		assert.Empty(t, e.Tenant()+e.Source(), typ)
		_, ok = event.Schema(typ)
		assert.True(t, ok, typ)
	}
	for _, none := range []event.Type{"", "host.note", "request"} {
		e, ok := event.Sample(none)
		assert.False(t, ok)
		assert.True(t, e.IsZero())
		_, ok = event.Schema(none)
		assert.False(t, ok)
	}
}

// TestSamplesAreStable compares every sample with a golden file, so that a changed or removed field is noticed: fields
// may only ever be added.
func TestSamplesAreStable(t *testing.T) {
	t.Parallel()
	ids := make(map[string]bool)
	var files []string
	for _, typ := range event.Catalogue() {
		e := sample(t, typ)
		assert.False(t, ids[e.ID()], "%s: id is used twice", typ)
		ids[e.ID()] = true

		name := string(typ) + ".json"
		files = append(files, name)
		path := filepath.Join("testdata", "samples", name)
		got := string(e.JSON()) + "\n"
		if *update {
			require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
		}
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, string(want), got, typ)
	}
	entries, err := os.ReadDir(filepath.Join("testdata", "samples"))
	require.NoError(t, err)
	for _, entry := range entries {
		assert.Contains(t, files, entry.Name(), "a golden file without a type")
	}
}

func TestSchemasAreDeterministic(t *testing.T) {
	t.Parallel()
	for _, typ := range event.Catalogue() {
		a, _ := event.Schema(typ)
		b, _ := event.Schema(typ)
		assert.Equal(t, string(a), string(b))
		assert.NotContains(t, string(a), `"description": ""`)
	}
}

// TestEveryFieldIsDescribed walks the schemas: a property without a description is a missing doc tag, one without a
// kind is of a Go type the generator does not know.
func TestEveryFieldIsDescribed(t *testing.T) {
	t.Parallel()
	var walk func(path string, s map[string]any)
	walk = func(path string, s map[string]any) {
		for name, p := range asMap(s["properties"]) {
			text, _ := asMap(p)["description"].(string)
			assert.NotEmpty(t, text, path+"."+name)
			assert.True(t, asMap(p)["type"] != nil || asMap(p)["const"] != nil, "%s.%s has no kind", path, name)
			walk(path+"."+name, asMap(p))
		}
		if items, ok := s["items"]; ok {
			assert.NotNil(t, asMap(items)["type"], path+"[]")
			walk(path+"[]", asMap(items))
		}
	}
	for _, typ := range event.Catalogue() {
		b, _ := event.Schema(typ)
		var s map[string]any
		require.NoError(t, json.Unmarshal(b, &s))
		assert.NotEmpty(t, s["description"])
		walk(string(typ), s)
	}
}

func asMap(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

// TestTemplatePaths resolves every path that access-request templates rely on, in all request and grant samples.
func TestTemplatePaths(t *testing.T) {
	t.Parallel()
	paths := expand(
		"event_type", "event_time", "data.id", "data.friendly_id", "data.requester.{id,name,email}", "data.justification",
		"data.creation_date", "data.revocation_date", "data.access_flow.{id,name}", "data.access_bundle.{id,name}",
		"data.access_groups[].integration.{id,type,name}",
		"data.access_groups[].resource_types[].{id,name,display_path}",
		"data.access_groups[].access_units[].resource.{id,name,path}",
		"data.access_groups[].access_units[].resource.type.{id,name,display_path}",
		"data.access_groups[].access_units[].permission.{id,name}",
		"data.approvals_logical_relation", "data.approvals[].{name,type,status}",
		"data.grantee.{id,source_id,name,type}", "data.access_duration_in_seconds",
	)
	require.Len(t, paths, 37)
	decided := expand("data.approvals[].approver.{id,name,email}")
	for _, typ := range event.Catalogue() {
		if !strings.HasPrefix(string(typ), "request.") && !strings.HasPrefix(string(typ), "grant.") {
			continue
		}
		root := sample(t, typ).Decoded()
		for _, path := range paths {
			values := resolve(root, path)
			require.NotEmpty(t, values, "%s: %s", typ, path)
			for _, v := range values {
				assert.NotContains(t, []any{nil, ""}, v, "%s: %s", typ, path)
			}
		}
		data := asMap(root["data"])
		assert.Contains(t, []any{"AnyOf", "AllOf"}, data["approvals_logical_relation"])
		for _, a := range data["approvals"].([]any) {
			_, has := asMap(a)["approver"]
			assert.Equal(t, asMap(a)["status"] != "Pending", has, "%s: an approver exactly when decided", typ)
		}
	}
	for _, path := range decided {
		assert.Len(t, resolve(sample(t, event.TypeRequestApproved).Decoded(), path), 2, path)
	}
	for _, path := range expand("data.grant.{id,starts_at,expires_at}") {
		assert.NotContains(t, resolve(sample(t, event.TypeGrantActive).Decoded(), path), nil, path)
	}
}

// expand replaces a trailing {a,b} by each of its words.
func expand(patterns ...string) []string {
	var paths []string
	for _, p := range patterns {
		stem, words, _ := strings.Cut(strings.TrimSuffix(p, "}"), "{")
		for _, w := range strings.Split(words, ",") {
			paths = append(paths, stem+w)
		}
	}
	return paths
}

// resolve returns what a path leads to; nil for each step into nothing. "[]" visits all elements.
func resolve(v any, path string) []any {
	step, rest, more := strings.Cut(path, ".")
	name, each := strings.CutSuffix(step, "[]")
	next := []any{asMap(v)[name]}
	if each {
		next, _ = next[0].([]any)
	}
	if !more {
		return next
	}
	var all []any
	for _, n := range next {
		all = append(all, resolve(n, rest)...)
	}
	return all
}

func TestTimestampsOfSamples(t *testing.T) {
	t.Parallel()
	e := sample(t, event.TypeRequestPending)
	assert.Equal(t, json.Number("1696263265.851898000"), e.Decoded()["event_time"])
	assert.Equal(t, json.Number("1696263265.851898000"), asMap(e.Decoded()["data"])["creation_date"])

	exact := event.At(time.Unix(1696263265, 123456789))
	e = event.Must(event.RequestPending{AccessRequest: event.AccessRequest{CreationDate: exact}}, event.Meta{Time: exact.Time})
	assert.Equal(t, json.Number("1696263265.123456789"), e.Decoded()["event_time"])
	assert.Equal(t, json.Number("1696263265.123456789"), asMap(e.Decoded()["data"])["creation_date"])
}

// TestAccessRequestOptionalParts pins down which parts are absent when empty.
func TestAccessRequestOptionalParts(t *testing.T) {
	t.Parallel()
	e := event.Must(event.RequestPending{}, event.Meta{})
	assert.JSONEq(t, `{"id":"","requester":{"id":"","name":"","email":""},"justification":"","creation_date":null}`, string(e.Data()))
	e = event.Must(event.GrantFailed{Grant: event.Grant{Granted: event.Granted{ID: "g"}}}, event.Meta{})
	assert.JSONEq(t, `{"id":"g"}`, string(jsonOf(t, asMap(e.Decoded()["data"])["grant"])))
}

func jsonOf(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return b
}

func TestSubjects(t *testing.T) {
	t.Parallel()
	request := event.AccessRequest{ID: "request-1"}
	session := event.Session{LSID: "lsid-1", ExternalKey: "INC-1"}
	tests := []struct {
		payload event.Payload
		subject string
	}{
		{event.RequestDenied{AccessRequest: request}, "request-1"},
		{event.GrantRevoked{Grant: event.Grant{AccessRequest: request, Granted: event.Granted{ID: "grant-1"}}}, "request-1"},
		{event.SessionEnded{Session: session}, "lsid-1"},
		{event.ApplicationAccessDecided{ApplicationAccess: event.ApplicationAccess{RequestID: "app-1"}}, "app-1"},
		{event.AlertResolved{Alert: event.Alert{AlertID: "alert-1"}}, "alert-1"},
		{event.DeliveryDead{RouteFailure: event.RouteFailure{Route: "slack"}}, "slack"},
	}
	for _, test := range tests {
		e, err := event.New(test.payload, event.Meta{})
		require.NoError(t, err)
		assert.Equal(t, test.subject, e.Subject(), e.Type())
		key, ok := e.Attribute("external_key")
		assert.Equal(t, strings.HasPrefix(string(e.Type()), "session."), ok, "%s: only sessions have an external key", e.Type())
		if ok {
			assert.Equal(t, "INC-1", key)
		}
	}
}

func TestAlertHasExactlySeventeenFields(t *testing.T) {
	t.Parallel()
	want := strings.Split("alert_id alert_title category description di_event event_description initiated_by occurred_at "+
		"previous_alert_status priority rule_id source_id source_name source_type source_url status update_at", " ")
	require.Len(t, want, 17)
	for _, e := range []event.Event{
		event.Must(event.AlertOpened{}, event.Meta{}), sample(t, event.TypeAlertOpened), sample(t, event.TypeAlertAcknowledged),
		sample(t, event.TypeAlertResolved), sample(t, event.TypeAlertAutoResolved),
	} {
		var got []string
		for name := range asMap(e.Decoded()["data"]) {
			got = append(got, name)
		}
		slices.Sort(got)
		assert.Equal(t, want, got, e.Type())
	}
	assert.Equal(t, []string{"Critical", "High", "Medium", "Low"}, []string{
		string(event.PriorityCritical), string(event.PriorityHigh), string(event.PriorityMedium), string(event.PriorityLow),
	})
	assert.Equal(t, []string{"Open", "Acknowledged", "Resolved", "Auto-Resolved"}, []string{
		string(event.AlertStatusOpen), string(event.AlertStatusAcknowledged),
		string(event.AlertStatusResolved), string(event.AlertStatusAutoResolved),
	})
}

func TestSessionFields(t *testing.T) {
	t.Parallel()
	data := asMap(sample(t, event.TypeSessionMemberJoined).Decoded()["data"])
	names := strings.Split("appliance_id lsid external_key username user_id display_name type conference_name conference_id", " ")
	for _, name := range names {
		assert.NotEmpty(t, data[name], name)
	}
	assert.Len(t, data, len(names))
}

// TestApplicationAccessMacros finds a value for each macro of the endpoint privilege products.
func TestApplicationAccessMacros(t *testing.T) {
	t.Parallel()
	macros := map[string]string{
		"EventType": "event_type", "TenantId": "tenant", "Timestamp": "event_time",
		"FilePathObjectId": "data.file_path_object_id", "User": "data.user", "RequestId": "data.request_id",
		"ApplicationType": "data.application_type", "Action": "data.action", "Workstyle": "data.workstyle",
		"Reason": "data.reason", "HostName": "data.host_name", "trustedOwnership": "data.trusted_ownership",
		"ProductDescription": "data.product_description", "DriveType": "data.drive_type",
		"BtZoneIdentifierExists": "data.bt_zone_identifier_exists", "ProductCode": "data.product_code",
		"UpgradeCode": "data.upgrade_code", "ClsId": "data.cls_id", "ComDisplayName": "data.com_display_name",
		"Token": "data.token", "TokenAssignmentIsShell": "data.token_assignment_is_shell",
		"UacTriggered": "data.uac_triggered", "DownloadSourceUrl": "data.download_source_url",
		"UserLanguage": "data.user_language", "sha1Hash": "data.sha1_hash",
	}
	require.Len(t, macros, 25)
	for _, typ := range []event.Type{event.TypeApplicationAccessRequested, event.TypeApplicationAccessDecided} {
		payload, err := event.Decode[event.ApplicationAccessDecided](sample(t, event.TypeApplicationAccessDecided))
		require.NoError(t, err)
		e := event.Must(payload, event.Meta{Tenant: "acme"})
		if typ == event.TypeApplicationAccessRequested {
			e = event.Must(event.ApplicationAccessRequested{ApplicationAccess: payload.ApplicationAccess}, event.Meta{Tenant: "acme"})
		}
		for macro, path := range macros {
			values := resolve(e.Decoded(), path)
			require.Len(t, values, 1)
			assert.NotContains(t, []any{nil, ""}, values[0], "%s of %s", macro, typ)
		}
	}
}
