package event

import (
	"maps"
	"slices"
	"strconv"
)

// Vocabulary maps types of events to the words that somebody else uses for them: a receiver that switches on
// "AccessRequestCreated", or a product whose configuration says "JIT Application Access Ticket Created". It translates
// both ways. Events themselves always carry types. Hosts make vocabularies of their own as map literals; check those
// with [Vocabulary.Validate]. A Vocabulary is safe for concurrent use while nobody modifies it; the zero Vocabulary has
// no words.
type Vocabulary map[Type]string

// Word returns the word for t. A type without a word of its own is its own word.
func (v Vocabulary) Word(t Type) string {
	if word, ok := v[t]; ok {
		return word
	}
	return string(t)
}

// TypeOf returns the type that a word stands for, the exact reverse of the table; false for any other text, also for
// one that is a type.
func (v Vocabulary) TypeOf(word string) (Type, bool) {
	for _, t := range v.types() {
		if v[t] == word {
			return t, true
		}
	}
	return "", false
}

// Types is [Types] for texts in either vocabulary: each is a word of v, a type, a prefix such as "request.*", or "*".
func (v Vocabulary) Types(texts ...string) Filter {
	patterns := make([]string, len(texts))
	for i, text := range texts {
		patterns[i] = text
		if t, ok := v.TypeOf(text); ok {
			patterns[i] = string(t)
		}
	}
	return Types(patterns...)
}

// Validate reports why v cannot translate both ways, as joined [*InvalidError] values: a key that is not a type, an
// empty word, a word of two types, or a word that is another entry's type.
func (v Vocabulary) Validate() error {
	var errs []error
	used := make(map[string]Type, len(v))
	for _, t := range v.types() {
		word := v[t]
		first, twice := used[word]
		used[word] = t
		field := "vocabulary[" + strconv.Quote(clipText(string(t))) + "]"
		if err := t.validate(); err != nil {
			errs = append(errs, &InvalidError{Field: field, Problem: "has a key that is not a type", Remedy: "name a type such as \"request.pending\""})
			continue
		}
		_, isType := v[Type(word)]
		switch {
		case word == "":
			errs = append(errs, &InvalidError{Field: field, Problem: "is empty", Remedy: "give the word, or remove the type"})
		case twice:
			errs = append(errs, &InvalidError{Field: field, Problem: "is also the word for " + string(first), Remedy: "give each type a word of its own"})
		case isType && Type(word) != t:
			errs = append(errs, &InvalidError{Field: field, Problem: "is another entry's type", Remedy: "choose a word that is not a type"})
		}
	}
	return joinErrors(errs)
}

// types are the keys in a fixed order.
func (v Vocabulary) types() []Type { return slices.Sorted(maps.Keys(v)) }

// Vocabularies returns the ready-made vocabularies by the names under which a configuration may refer to them:
// "trigger", "access_request" and "application_access". No word occurs in two of them. The result is the caller's.
func Vocabularies() map[string]Vocabulary {
	return map[string]Vocabulary{
		"trigger":            TriggerWords(),
		"access_request":     AccessRequestWords(),
		"application_access": ApplicationAccessWords(),
	}
}

// TriggerWords are the names that access-request products commonly give to the changes of a request.
func TriggerWords() Vocabulary {
	return Vocabulary{
		TypeRequestPending:  "Created",
		TypeRequestApproved: "Approved",
		TypeRequestDenied:   "Rejected",
		TypeGrantActive:     "Granted",
		TypeGrantExpired:    "Expired",
		TypeGrantFailed:     "Failed",
	}
}

// AccessRequestWords are the values of event_type on which receivers of access-request webhooks switch:
// "AccessRequestCreated" for request.pending, and likewise AccessRequest before each of [TriggerWords].
//
// Source: Apono, "Webhook payload schema reference", read 2026-11, which shows AccessRequestCreated and says that the
// property is the trigger; the other five follow its form.
func AccessRequestWords() Vocabulary {
	words := TriggerWords()
	for t, word := range words {
		words[t] = "AccessRequest" + word
	}
	return words
}

// ApplicationAccessWords are the names of the events that endpoint-privilege webhooks offer.
//
// Source: BeyondTrust, EPM, "Webhook settings", read 2026-11.
func ApplicationAccessWords() Vocabulary {
	return Vocabulary{
		TypeApplicationAccessRequested: "JIT Application Access Ticket Created",
		TypeApplicationAccessDecided:   "JIT Application Access Decision Updated",
	}
}
