package event_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/event"
)

func about(tenant, subject string) event.Event {
	return event.Must(note{}, event.Meta{ID: "evt-1", Tenant: tenant, Subject: subject})
}

func TestCorrelationID(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 200)
	for _, tc := range []struct{ tenant, subject, want string }{
		{"acme", "AR-2047", "acme/AR-2047"},
		{"", "AR-2047", "AR-2047"},
		{"acme", "", "acme//evt-1"},
		{"", "", "//evt-1"},
		{"acme", "emea/REQ-1", "acme/emea%2fREQ-1"},
		{"acme/emea", "REQ-1", "acme%2femea/REQ-1"},
		{"a%2fb", "~x é", "a%252fb/%7ex%20%c3%a9"},
		{"ACME", "REQ-1", "ACME/REQ-1~"},
		{"acme", long, "acme/" + strings.Repeat("x", 62) + "~"},
	} {
		got := about(tc.tenant, tc.subject).CorrelationID(100)
		want, _, digested := strings.Cut(tc.want, "~")
		have, digest, _ := strings.Cut(got, "~")
		assert.Equal(t, want, have)
		if digested {
			assert.Len(t, digest, 32)
		}
	}
	assert.Empty(t, event.Event{}.CorrelationID(100))
	e := about("acme", "AR-2047")
	test := e.ForTest()
	assert.NotEqual(t, e.CorrelationID(100), test.CorrelationID(100), "a test must not close what is real")
	assert.NotEqual(t, test.CorrelationID(100), e.ForTest().CorrelationID(100))
}

// TestCorrelationIDIsInjective builds ids of names that are made of what the encoding uses itself.
func TestCorrelationIDIsInjective(t *testing.T) {
	t.Parallel()
	pieces := []string{"a", "A", "/", "%", "2f", "~", " ", "é", "É", "//", "%2f", "evt-1", strings.Repeat("x", 90), strings.Repeat("x", 91)}
	names := []string{""}
	for _, a := range pieces {
		names = append(names, a)
		for _, b := range pieces {
			names = append(names, a+b)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	for _, size := range []int{40, 100, 128, 255} {
		seen := make(map[string]string)
		add := func(e event.Event) {
			id, names := e.CorrelationID(size), fmt.Sprintf("%q, %q, test %t", e.Tenant(), e.Subject(), e.IsTest())
			require.LessOrEqual(t, len(id), size)
			require.Empty(t, strings.Trim(id, "!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"))
			if other, twice := seen[id]; twice {
				t.Fatalf("%s and %s are both %s", other, names, id)
			}
			seen[id] = names
		}
		for _, tenant := range names {
			for _, subject := range names {
				add(about(tenant, subject))
			}
		}
		// Names that are ids themselves.
		for _, e := range []event.Event{about("A", "x"), about("a", strings.Repeat("x", 200)), about("acme", "R")} {
			add(e)
			add(about("", e.CorrelationID(size)))
		}
	}
}

// Destinations that ignore case take no tenant for another.
func TestCorrelationIDsOfTenantsDifferBeyondCase(t *testing.T) {
	t.Parallel()
	ids := make(map[string]bool)
	for _, tenant := range []string{"acme", "Acme", "ACME", "aCme", "É", "é"} {
		ids[strings.ToLower(about(tenant, "req-1").CorrelationID(100))] = true
	}
	assert.Len(t, ids, 6)
}
