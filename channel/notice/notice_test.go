package notice

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/event"
)

// payload is a host's own event, or one of the catalogue with data that does not come from its Go type.
type payload struct {
	typ  event.Type
	data any
}

func (p payload) EventType() event.Type        { return p.typ }
func (p payload) MarshalJSON() ([]byte, error) { return json.Marshal(p.data) }

func made(t *testing.T, typ event.Type, data string, m event.Meta) event.Event {
	t.Helper()
	const standIn = "host.stand_in" // because New keeps "tocsin." for the library's own payloads
	e, err := event.New(payload{standIn, json.RawMessage(data)}, m)
	require.NoError(t, err)
	e, err = event.Parse(bytes.Replace(e.JSON(), []byte(standIn), []byte(typ), 1))
	require.NoError(t, err)
	return e
}

// TestEveryCatalogueTypeInWords compares what people read about every sample with a golden file.
func TestEveryCatalogueTypeInWords(t *testing.T) {
	t.Parallel()
	var files []string
	titles := make(map[string]bool)
	for _, typ := range event.Catalogue() {
		e, ok := event.Sample(typ)
		require.True(t, ok)
		n := Of(e)
		checkPromises(t, n)
		assert.NotEmpty(t, n.Status, typ)
		assert.False(t, titles[n.Title], "%s: the title does not tell it from another type", typ)
		titles[n.Title] = true

		name := string(typ) + ".txt"
		files = append(files, name)
		got := fmt.Sprintf("%s, %s, %s\n\n%s", n.Severity, n.Phase, n.Status, n.Text())
		path := filepath.Join("testdata", name)
		if *update {
			require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
		}
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, string(want), got, typ)
	}
	entries, err := os.ReadDir("testdata")
	require.NoError(t, err)
	for _, entry := range entries {
		if !entry.IsDir() {
			assert.Contains(t, files, entry.Name(), "a golden file without a type")
		}
	}
}

func TestSeverityAndPhaseOfEveryType(t *testing.T) {
	t.Parallel()
	want := map[event.Type]struct {
		severity Severity
		phase    Phase
	}{
		event.TypeRequestPending:    {Warning, Opens},
		event.TypeRequestApproved:   {Info, Updates},
		event.TypeRequestDenied:     {Warning, Closes},
		event.TypeRequestExpired:    {Warning, Closes},
		event.TypeRequestBreakGlass: {Critical, Opens},
		event.TypeGrantActive:       {Info, Updates},
		event.TypeGrantExpiringSoon: {Warning, Updates},
		event.TypeGrantExpired:      {Info, Closes},
		event.TypeGrantRevoked:      {Warning, Closes},
		event.TypeGrantFailed:       {Error, Opens},

		event.TypeSessionStarted:      {Info, Opens},
		event.TypeSessionEnded:        {Info, Closes},
		event.TypeSessionMemberJoined: {Info, Updates},
		event.TypeSessionMemberLeft:   {Info, Updates},

		event.TypeApplicationAccessRequested: {Warning, Opens},
		event.TypeApplicationAccessDecided:   {Info, Closes},

		event.TypeAlertOpened:       {Error, Opens}, // priority High
		event.TypeAlertAcknowledged: {Error, Updates},
		event.TypeAlertResolved:     {Info, Closes},
		event.TypeAlertAutoResolved: {Info, Closes},

		event.TypeChannelFailing:   {Error, Opens},
		event.TypeChannelRecovered: {Info, Closes},
		event.TypeChannelDisabled:  {Error, Opens},
		event.TypeDeliveryDead:     {Error, Standalone},

		event.TypeChannelCreated:     {Info, Standalone},
		event.TypeChannelUpdated:     {Info, Standalone},
		event.TypeChannelDeleted:     {Info, Standalone},
		event.TypeChannelEnabled:     {Info, Standalone},
		event.TypeChannelSwitchedOff: {Info, Standalone},
		event.TypeChannelPaused:      {Info, Standalone},
		event.TypeChannelTested:      {Info, Standalone},
		event.TypeSecretRotated:      {Info, Standalone},
		event.TypeConfigImported:     {Info, Standalone},
		event.TypeConfigBroken:       {Error, Standalone},
		event.TypeDeadRedelivered:    {Info, Standalone},
		event.TypeDeadDiscarded:      {Info, Standalone},
	}
	for _, typ := range event.Catalogue() {
		e, _ := event.Sample(typ)
		w, ok := want[typ]
		require.True(t, ok, typ)
		assert.Equal(t, w.severity, Of(e).Severity, typ)
		assert.Equal(t, w.phase, Of(e).Phase, typ)
	}
}

func TestAlertsHaveTheirPrioritysSeverity(t *testing.T) {
	t.Parallel()
	for priority, want := range map[event.AlertPriority]Severity{
		event.PriorityCritical: Critical, event.PriorityHigh: Error, event.PriorityMedium: Warning, event.PriorityLow: Info,
		"Unheard of": Warning, "": Warning,
	} {
		a := event.Alert{Priority: priority}
		assert.Equal(t, want, Of(event.Must(event.AlertOpened{Alert: a}, event.Meta{})).Severity, priority)
		assert.Equal(t, want, Of(event.Must(event.AlertAcknowledged{Alert: a}, event.Meta{})).Severity, priority)
		assert.Equal(t, Info, Of(event.Must(event.AlertResolved{Alert: a}, event.Meta{})).Severity, priority)
	}
}

func TestDeniedApplicationIsAWarning(t *testing.T) {
	t.Parallel()
	n := Of(event.Must(event.ApplicationAccessDecided{Decision: event.DecisionDenied}, event.Meta{}))
	assert.Equal(t, Warning, n.Severity)
	assert.Equal(t, "Denied", n.Status)
	assert.Equal(t, "Denied: Somebody asked to run an application", n.Title)
	assert.Equal(t, "Denied: Somebody asked to run an application, decided by a rule.", n.Summary)
}

// facts returns the values by label.
func facts(t *testing.T, n Notice) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, f := range n.Facts {
		assert.NotContains(t, all, f.Label)
		all[f.Label] = f.Value
	}
	return all
}

// TestAnApproverLearns who asks for what, why, for how long, until when, who has decided and where to click.
func TestAnApproverLearns(t *testing.T) {
	t.Parallel()
	end := time.Date(2026, 11, 25, 23, 30, 0, 0, time.FixedZone("", 2*3600))
	n := Of(event.Must(event.RequestPending{AccessRequest: event.AccessRequest{
		ID:                      "req-1",
		Requester:               event.Person{ID: "u1", Name: "Priya Nair", Email: "priya@example.com"},
		Grantee:                 event.Grantee{ID: "svc", Name: "svc-report", Type: "service_account"},
		Justification:           "Line one\r\n\r\n\r\n\r\nline two",
		RevocationDate:          event.At(end),
		AccessDurationInSeconds: 90 * 60,
		AccessGroups: []event.AccessGroup{
			{Integration: event.Integration{Name: "db"}, AccessUnits: []event.AccessUnit{
				{Resource: event.Resource{Name: "orders"}, Permission: event.Reference{Name: "Read"}},
				{Resource: event.Resource{Name: "users", Path: "db/users"}},
				{Resource: event.Resource{ID: "r3"}, Permission: event.Reference{Name: "Write"}},
			}},
			{Integration: event.Integration{ID: "int-2"}},
		},
		Relation: event.RelationAnyOf,
		Approvals: []event.Approval{
			{Name: "Manager", Status: event.ApprovalPending},
			{Name: "Owner", Status: event.ApprovalPending},
			{Name: "On call", Status: event.ApprovalPending},
			{Name: "Robot", Status: "Delegated"},
			{Name: "Security", Status: event.ApprovalApproved, Approver: event.Person{Email: "i@example.com"}},
		},
		URL: "https://access.example.com/r/1",
	}}, event.Meta{Tenant: "acme", Time: end}))
	checkPromises(t, n)
	assert.Equal(t, "Access request req-1 waits for approval", n.Title)
	assert.Equal(t, "Priya Nair asks for Read on orders, users and 1 more for svc-report for 1 hour 30 minutes: Line one line two", n.Summary)
	assert.Equal(t, map[string]string{
		"Requester":       "Priya Nair (priya@example.com)",
		"For":             "svc-report (service_account)",
		"Resources":       "Read on db, orders\ndb/users\nWrite on db, r3\nint-2",
		"Justification":   "Line one\n\nline two",
		"Duration":        "1 hour 30 minutes",
		"Until":           "2026-11-25 21:30 UTC",
		"Approved by":     "i@example.com (Security)",
		"Waiting for":     "Manager, Owner or On call",
		"Other approvals": "Robot is Delegated",
		"Tenant":          "acme",
		"When":            "2026-11-25 21:30 UTC",
	}, facts(t, n))
	for _, f := range n.Facts {
		assert.Equal(t, f.Label == "Until" || f.Label == "When", !f.Time.IsZero(), f.Label)
		assert.Equal(t, f.Label == "Resources" || f.Label == "Justification", f.Long, f.Label)
		if !f.Time.IsZero() {
			assert.True(t, f.Time.Equal(end))
			assert.Equal(t, time.UTC, f.Time.Location())
		}
	}
	assert.Equal(t, "https://access.example.com/r/1", n.Link)
	assert.Equal(t, "Open request", n.LinkText)
}

// TestEmptyPayloads shows that every type reads as a sentence when the product knows next to nothing.
func TestEmptyPayloads(t *testing.T) {
	t.Parallel()
	at := time.Unix(1700000000, 0)
	for _, typ := range event.Catalogue() {
		n := Of(made(t, typ, `{}`, event.Meta{Time: at}))
		checkPromises(t, n)
		assert.Empty(t, n.Link, typ)
		for _, s := range []string{n.Title, n.Summary} {
			assert.NotContains(t, s, "  ", typ)
			assert.NotContains(t, s, "()", typ)
			assert.NotRegexp(t, `[,:] ?[.]|^[,:]|[,: ]$`, s, "%s: a gap shows", typ)
		}
		assert.Equal(t, "2023-11-14 22:13 UTC", n.Facts[len(n.Facts)-1].Value)
	}
}

func TestSessionsInASentence(t *testing.T) {
	t.Parallel()
	for want, s := range map[string]event.Session{
		"Priya began a session for INC-1: db, lag.": {DisplayName: "Priya", ExternalKey: "INC-1", ConferenceName: "db, lag"},
		"Priya began a session: db.":                {DisplayName: "Priya", ConferenceName: "db"},
		"pn began a session: INC-1.":                {Username: "pn", ExternalKey: "INC-1", LSID: "f3"},
		"Somebody began a session.":                 {},
	} {
		assert.Equal(t, want, Of(event.Must(event.SessionStarted{Session: s}, event.Meta{})).Summary)
	}
}

type note struct {
	Title     string          `json:"alert_title"`
	Count     int64           `json:"count"`
	Ratio     float64         `json:"ratio"`
	On        bool            `json:"is_on"`
	Off       bool            `json:"off"`
	Next      event.Timestamp `json:"next_rotation"`
	None      *string         `json:"none"`
	Empty     string          `json:"empty"`
	List      []string        `json:"list"`
	Object    map[string]int  `json:"object"`
	URL       string          `json:"url"`
	Paragraph string          `json:"para"`
}

func (note) EventType() event.Type { return "vault.key_rotated" }

func TestHostsOwnEvent(t *testing.T) {
	t.Parallel()
	e := event.Must(note{
		Title: "Backup key", Count: 9007199254740993, Ratio: 0.25, On: true, Next: event.At(time.Unix(1696263265, 851898000)),
		List: []string{"x"}, Object: map[string]int{"y": 1}, URL: "https://vault.example.com/keys/7", Paragraph: "a\nb",
	}, event.Meta{Subject: "backup-signing", Time: time.Unix(1700000000, 0)})
	n := Of(e)
	checkPromises(t, n)
	assert.Equal(t, "Vault key rotated: backup-signing", n.Title)
	assert.Equal(t, "Event vault.key_rotated about backup-signing.", n.Summary)
	assert.Equal(t, Info, n.Severity)
	assert.Equal(t, Standalone, n.Phase)
	assert.Equal(t, "https://vault.example.com/keys/7", n.Link)
	assert.Equal(t, "Open", n.LinkText)
	rotated := time.Unix(1696263265, 851898000).UTC()
	assert.Equal(t, []Fact{
		{Label: "Event", Value: "vault.key_rotated"},
		{Label: "About", Value: "backup-signing"},
		{Label: "Alert title", Value: "Backup key"},
		{Label: "Count", Value: "9007199254740993"}, // no digit is lost
		{Label: "Ratio", Value: "0.25"},
		{Label: "Is on", Value: "Yes"},
		{Label: "Off", Value: "No"},
		{Label: "Next rotation", Value: "2023-10-02 16:14 UTC", Time: rotated},
		{Label: "Para", Value: "a\nb", Long: true},
		{Label: "When", Value: "2023-11-14 22:13 UTC", Time: time.Unix(1700000000, 0).UTC()},
	}, n.Facts)
}

func TestDataThatDoesNotFitItsTypeIsStillTold(t *testing.T) {
	t.Parallel()
	for _, typ := range event.Catalogue() {
		n := Of(made(t, typ, `{"requester":7,"lsid":7,"user":7,"alert_title":7,"route":7,"channel":7,"note":"kept"}`, event.Meta{Subject: "s-1"}))
		checkPromises(t, n)
		assert.Equal(t, Standalone, n.Phase, typ)
		assert.Equal(t, "kept", facts(t, n)["Note"], typ)
	}
	for _, typ := range []event.Type{"request.reopened", "session.paused", "alert.muted", "application_access.seen", "tocsin.other"} {
		assert.Equal(t, "kept", facts(t, Of(made(t, typ, `{"note":"kept"}`, event.Meta{})))["Note"], typ)
	}
	n := Of(event.Event{})
	checkPromises(t, n)
	assert.Equal(t, "No event", n.Title)
	assert.Empty(t, n.Facts)
}

// hostile returns decoded data in which every string is text.
func hostile(v any, text string) any {
	switch v := v.(type) {
	case string:
		return text
	case map[string]any:
		for k := range v {
			v[k] = hostile(v[k], text)
		}
	case []any:
		for i := range v {
			v[i] = hostile(v[i], text)
		}
	}
	return v
}

func hostileTexts() []string {
	return []string{
		"<!channel> <https://evil.example|Approve> @everyone [click](javascript:x) *b* `c` {{x}} %%y%% \"}\\",
		"a\x00b\x07\x1b[31mred\x7f\u0085c\u2028d\u2029e",
		"\u202eevas\u202c \u2066x\u2069 \u200e\u200f\u061c\ufeff\u200b\u2060\u00ad tail",
		"\r\nBcc: all@example.com\r\n\r\nApproved by: the boss",
		strings.Repeat("x", 900),
		strings.Repeat("😀", 400),
		strings.Repeat("👩‍👩‍👧‍👦", 60),
		strings.Repeat("مرحبا بالعالم ", 40),
		"e" + strings.Repeat("\u0301", 700),
		strings.Repeat("\n", 300) + "end",
		strings.Repeat("\u200d", 50),
		" \t\u00a0\u3000 ",
		"\ufffe\U000e0041\U000e007f",
		"javascript:alert(1)", "https://ok.example@evil.example/", "%zz",
	}
}

func TestHostileTextStaysText(t *testing.T) {
	t.Parallel()
	for _, typ := range event.Catalogue() {
		for i, text := range hostileTexts() {
			e, _ := event.Sample(typ)
			var data any
			dec := json.NewDecoder(strings.NewReader(string(e.Data())))
			dec.UseNumber()
			require.NoError(t, dec.Decode(&data))
			b, err := json.Marshal(hostile(data, text))
			require.NoError(t, err)
			if len(b) > event.MaxDataSize {
				t.Fatalf("text %d makes %s too large to be an event", i, typ)
			}
			n := Of(made(t, typ, string(b), event.Meta{Subject: "s"}))
			checkPromises(t, n)
			assert.Empty(t, n.Link, "%s: %q", typ, text)
		}
	}
}

func TestLongListsAreCut(t *testing.T) {
	t.Parallel()
	var r event.AccessRequest
	for range 100 {
		r.Approvals = append(r.Approvals, event.Approval{Name: "Owner", Status: event.ApprovalPending})
		r.AccessGroups = append(r.AccessGroups, event.AccessGroup{Integration: event.Integration{Name: "db"}})
	}
	n := Of(event.Must(event.RequestPending{AccessRequest: r}, event.Meta{}))
	checkPromises(t, n)
	assert.Equal(t, "Owner, Owner, Owner, Owner, Owner, Owner and 94 more", facts(t, n)["Waiting for"])
	assert.Equal(t, strings.Repeat("db\n", 12)+"88 more", facts(t, n)["Resources"])
	assert.Contains(t, n.Summary, "access to db, db and 98 more")

	many := make(map[string]int)
	for i := range 100 {
		many[fmt.Sprintf("field_%d", i)] = i
	}
	b, err := json.Marshal(many)
	require.NoError(t, err)
	n = Of(made(t, "host.many", string(b), event.Meta{Subject: "s", Tenant: "acme"}))
	checkPromises(t, n)
	assert.Len(t, n.Facts, 24)
	assert.Equal(t, []string{"Tenant", "When"}, []string{n.Facts[22].Label, n.Facts[23].Label})
}

// TestAValueCannotPassForAFact: what looks like a further line of the notice is indented.
func TestAValueCannotPassForAFact(t *testing.T) {
	t.Parallel()
	n := Of(event.Must(event.RequestPending{AccessRequest: event.AccessRequest{
		Requester: event.Person{Name: "Eve\nApproved by: the boss"}, Justification: "please\nApproved by: the boss\n\nOpen request: https://evil.example",
	}}, event.Meta{}))
	assert.NotContains(t, facts(t, n), "Approved by")
	for l := range strings.Lines(n.Text()) {
		assert.False(t, strings.HasPrefix(l, "Approved by") || strings.HasPrefix(l, "Open request"), l)
	}
}

// checkPromises checks what the documentation of Notice and Fact says of every Notice.
func checkPromises(t testing.TB, n Notice) {
	t.Helper()
	text := func(what, s string, limit int, lines bool) {
		if !utf8.ValidString(s) || utf8.RuneCountInString(s) > limit {
			t.Errorf("%s is invalid or too long: %d runes", what, utf8.RuneCountInString(s))
		}
		if strings.TrimSpace(s) != s {
			t.Errorf("%s has blanks around it: %q", what, s)
		}
		if strings.Contains(s, "\n\n\n") {
			t.Errorf("%s has a gap of lines: %q", what, s)
		}
		for _, r := range s {
			bad := unicode.IsControl(r) && (!lines || r != '\n') || unicode.Is(unicode.Bidi_Control, r) ||
				slices.Contains([]rune{'\u2028', '\u2029', '\u200b', '\ufeff', '\ufffe', 0xE0041}, r)
			if bad {
				t.Errorf("%s holds %U: %q", what, r, s)
			}
		}
	}
	text("Title", n.Title, 150, false)
	text("Summary", n.Summary, 500, false)
	text("Status", n.Status, 40, false)
	if n.Title == "" || n.Summary == "" {
		t.Error("title or summary is empty")
	}
	if len(n.Facts) > 24 {
		t.Errorf("%d facts", len(n.Facts))
	}
	for _, f := range n.Facts {
		limit := 500
		if f.Long {
			limit = 4000
		}
		text("label", f.Label, 60, false)
		text(f.Label, f.Value, limit, f.Long)
		if f.Label == "" || f.Value == "" {
			t.Errorf("an empty fact: %+v", f)
		}
	}
	if (n.Link == "") != (n.LinkText == "") {
		t.Errorf("link %q with text %q", n.Link, n.LinkText)
	}
	if n.Link != "" {
		checkLink(t, n.Link)
	}
}

func checkLink(t testing.TB, s string) {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil || u.User != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || len(s) > 2048 {
		t.Errorf("not a link to click: %q", s)
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' || strings.IndexByte("\"<>`{|}^\\", s[i]) >= 0 {
			t.Errorf("%q holds %q", s, s[i])
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	assert.Equal(t, []string{"info", "warning", "error", "critical", "info"},
		[]string{Info.String(), Warning.String(), Error.String(), Critical.String(), Severity(9).String()})
	assert.Equal(t, []string{"standalone", "opens", "updates", "closes", "standalone"},
		[]string{Standalone.String(), Opens.String(), Updates.String(), Closes.String(), Phase(9).String()})
	assert.Less(t, Info, Warning)
	assert.Less(t, Warning, Error)
	assert.Less(t, Error, Critical)
}

func TestOnlyWrittenTimestampsAreInstants(t *testing.T) {
	t.Parallel()
	for number, want := range map[string]string{
		"0.123456789": "0.123456789", "-0.123456789": "-0.123456789", "12345678.123456789": "12345678.123456789",
		"1696263265.851898000": "2023-10-02 16:14 UTC", "-500000000.000000000": "1954-02-26 23:06 UTC",
		"1696263265.85": "1696263265.85", "1696263265": "1696263265", "9999999999999.000000000": "9999999999999.000000000",
	} {
		n := Of(made(t, "vault.measured", `{"value":`+number+`}`, event.Meta{}))
		assert.Equal(t, want, facts(t, n)["Value"], number)
	}
	// What a Go program measures never looks like one.
	for _, x := range []float64{1.0 / 3, 1e-9, 123456789.123456789, 987654321.123456789, 1696263265.851898, math.Pi * 1e8, math.MaxFloat64} {
		b, err := json.Marshal(x)
		require.NoError(t, err)
		n := Of(made(t, "vault.measured", `{"value":`+string(b)+`}`, event.Meta{}))
		assert.Equal(t, string(b), facts(t, n)["Value"])
	}
}

func TestTestEventsSayTestAndTouchNothing(t *testing.T) {
	t.Parallel()
	for _, typ := range append(event.Catalogue(), "host.note") {
		e, ok := event.Sample(typ)
		if !ok {
			e = made(t, typ, `{"a":"b"}`, event.Meta{Subject: "s"})
		}
		usual, n := Of(e), Of(e.ForTest())
		checkPromises(t, n)
		assert.Equal(t, "TEST: "+usual.Title, n.Title)
		assert.Equal(t, "TEST: "+usual.Summary, n.Summary)
		assert.Equal(t, Info, n.Severity, typ)
		assert.Equal(t, Standalone, n.Phase, typ)
		assert.Equal(t, usual.Status, n.Status)
		assert.Equal(t, Fact{Label: "TEST", Value: "sent to try this channel, nothing has happened"}, n.Facts[0])
		assert.Contains(t, n.Text(), "\n"+TestLine+"\n")
		assert.NotContains(t, usual.Text(), "TEST")
	}
}

// However much an event says, the mark of a test stays, and so do the facts that every notice ends with.
func TestLongTestEventsSayTest(t *testing.T) {
	t.Parallel()
	data := make(map[string]string)
	for i := range 40 {
		data[fmt.Sprintf("key_%d", i)] = strings.Repeat("𝔸", 900)
	}
	b, err := json.Marshal(data)
	require.NoError(t, err)
	e := made(t, event.Type("host."+strings.Repeat("t", 90)), string(b), event.Meta{Subject: strings.Repeat("s", 255), Tenant: "acme"})
	n := Of(e.ForTest())
	checkPromises(t, n)
	assert.True(t, strings.HasPrefix(n.Title, "TEST: "))
	assert.True(t, strings.HasPrefix(n.Summary, "TEST: "))
	require.Len(t, n.Facts, maxFacts)
	assert.Equal(t, "TEST", n.Facts[0].Label)
	assert.Equal(t, "When", n.Facts[maxFacts-1].Label)
}

func TestMarkTest(t *testing.T) {
	t.Parallel()
	e := made(t, "host.note", `{}`, event.Meta{})
	for text, want := range map[string]string{
		"":              "TEST: ",
		"Request":       "TEST: Request",
		"TEST: Request": "TEST: Request",
		"TEST Request":  "TEST: TEST Request",
		"Test: Request": "TEST: Test: Request",
	} {
		assert.Equal(t, want, MarkTest(e.ForTest(), text))
		assert.Equal(t, text, MarkTest(e, text))
	}
}
