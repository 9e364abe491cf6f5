package event_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/event"
)

func TestReadyMadeVocabularies(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]event.Vocabulary{
		"trigger": {
			"request.pending": "Created", "request.approved": "Approved", "request.denied": "Rejected",
			"grant.active": "Granted", "grant.expired": "Expired", "grant.failed": "Failed",
		},
		"access_request": {
			"request.pending": "AccessRequestCreated", "request.approved": "AccessRequestApproved",
			"request.denied": "AccessRequestRejected", "grant.active": "AccessRequestGranted",
			"grant.expired": "AccessRequestExpired", "grant.failed": "AccessRequestFailed",
		},
		"application_access": {
			"application_access.requested": "JIT Application Access Ticket Created",
			"application_access.decided":   "JIT Application Access Decision Updated",
		},
	} {
		assert.Equal(t, want, event.Vocabularies()[name], name)
	}
	assert.Len(t, event.Vocabularies(), 3)
}

// A configuration may take a word of any of them, so no word may mean two things.
func TestReadyMadeVocabulariesShareNoWord(t *testing.T) {
	t.Parallel()
	var words []string
	for _, v := range event.Vocabularies() {
		require.NoError(t, v.Validate())
		words = slices.AppendSeq(words, maps.Values(v))
	}
	slices.Sort(words)
	assert.Len(t, slices.Compact(slices.Clone(words)), len(words))
}

func TestVocabularyTranslatesBothWays(t *testing.T) {
	t.Parallel()
	host := event.Vocabulary{"vault.key_rotated": "KeyRotated", "request.pending": "New request"}
	require.NoError(t, host.Validate())
	for _, v := range append(slices.Collect(maps.Values(event.Vocabularies())), host, nil) {
		for _, typ := range append(event.Catalogue(), "vault.key_rotated", "host.note") {
			word := v.Word(typ)
			back, ok := v.TypeOf(word)
			_, has := v[typ]
			assert.Equal(t, has, ok, "%s: %s", typ, word)
			if has {
				assert.Equal(t, typ, back)
			} else {
				assert.Equal(t, string(typ), word, "a type without a word is its own")
			}
		}
		for _, none := range []string{"", "accessrequestcreated", "AccessRequestRevoked", "Revoked"} {
			_, ok := v.TypeOf(none)
			assert.False(t, ok, none)
		}
	}
}

func TestVocabularyTypesTakesEitherVocabulary(t *testing.T) {
	t.Parallel()
	f := event.AccessRequestWords().Types("AccessRequestCreated", "grant.expiring_soon", "session.*")
	require.NoError(t, f.Err())
	for _, typ := range event.Catalogue() {
		want := slices.Contains([]event.Type{
			event.TypeRequestPending, event.TypeGrantExpiringSoon,
			event.TypeSessionStarted, event.TypeSessionEnded, event.TypeSessionMemberJoined, event.TypeSessionMemberLeft,
		}, typ)
		assert.Equal(t, want, f.Match(sample(t, typ)), typ)
	}
	assert.True(t, event.AccessRequestWords().Types().Match(sample(t, event.TypeGrantRevoked)), "none are all, as for Types")

	var invalid *event.InvalidError
	require.ErrorAs(t, event.AccessRequestWords().Types("AccessRequestCreated", "Created").Err(), &invalid)
	assert.Equal(t, "patterns[1]", invalid.Field)
}

func TestVocabularyValidate(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		v     event.Vocabulary
		field string
		says  string
	}{
		"empty word":     {event.Vocabulary{"a.b": ""}, `vocabulary["a.b"]`, "is empty"},
		"one word twice": {event.Vocabulary{"a.b": "X", "a.c": "X"}, `vocabulary["a.c"]`, "also the word for a.b"},
		"no type":        {event.Vocabulary{"Created": "X"}, `vocabulary["Created"]`, "not a type"},
		"another's type": {event.Vocabulary{"a.b": "a.c", "a.c": "X"}, `vocabulary["a.b"]`, "another entry's type"},
	} {
		var invalid *event.InvalidError
		require.ErrorAs(t, tc.v.Validate(), &invalid, name)
		assert.Equal(t, tc.field, invalid.Field, name)
		assert.Contains(t, invalid.Problem, tc.says, name)
	}
	require.NoError(t, event.Vocabulary{"a.b": "a.b"}.Validate())
	typ, ok := event.Vocabulary{"a.c": "X", "a.b": "X"}.TypeOf("X")
	assert.True(t, ok)
	assert.Equal(t, event.Type("a.b"), typ, "even a mistaken table answers the same every time")
}

func ExampleVocabulary() {
	words := event.AccessRequestWords()
	fmt.Println(words.Word(event.TypeRequestPending), words.Word(event.TypeGrantRevoked))
	fmt.Println(words.TypeOf("AccessRequestGranted"))
	fmt.Println(words.Types("AccessRequestExpired", "session.*"))
	// Output:
	// AccessRequestCreated grant.revoked
	// grant.active true
	// grant.expired|session.*
}

func TestTriggers(t *testing.T) {
	t.Parallel()
	pairs := map[string]event.Type{
		"Created":  "request.pending",
		"Approved": "request.approved",
		"Rejected": "request.denied",
		"Granted":  "grant.active",
		"Expired":  "grant.expired",
		"Failed":   "grant.failed",
	}
	words := event.TriggerWords()
	byType := make(map[event.Type]string)
	for trigger, want := range pairs {
		got, ok := words.TypeOf(trigger)
		assert.True(t, ok, trigger)
		assert.Equal(t, want, got)
		byType[want] = trigger
	}
	for _, typ := range append(event.Catalogue(), "host.note", "") {
		want, has := byType[typ]
		got, ok := words[typ]
		assert.Equal(t, has, ok, typ)
		assert.Equal(t, want, got, typ)
	}
	for _, none := range []string{"", "created", "Revoked"} {
		_, ok := words.TypeOf(none)
		assert.False(t, ok, none)
	}
}
