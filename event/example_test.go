package event_test

import (
	"fmt"
	"time"

	"github.com/tocsin-go/tocsin/event"
)

func ExampleNew() {
	e, err := event.New(event.GrantRevoked{
		Grant: event.Grant{
			AccessRequest: event.AccessRequest{
				ID:            "req-2047",
				Requester:     event.Person{ID: "u-17", Name: "Priya Nair", Email: "priya.nair@example.com"},
				Justification: "INC-48213",
				CreationDate:  event.At(time.Unix(1696263265, 851898000)),
			},
			Granted: event.Granted{ID: "grant-9302"},
		},
		Reason: "INC-48213 is resolved",
	}, event.Meta{ID: "evt-1", Tenant: "acme", Time: time.Unix(1696268965, 0)})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(e.Type(), "about", e.Subject())
	fmt.Println(string(e.JSON()))
	// Output:
	// grant.revoked about req-2047
	// {"id":"evt-1","event_type":"grant.revoked","event_time":1696268965.000000000,"tenant":"acme","subject":"req-2047","data":{"id":"req-2047","requester":{"id":"u-17","name":"Priya Nair","email":"priya.nair@example.com"},"justification":"INC-48213","creation_date":1696263265.851898000,"grant":{"id":"grant-9302"},"reason":"INC-48213 is resolved"}}
}

// A product's own kind of event needs one method.
type KeyRotated struct {
	Key  string          `json:"key"`
	Next event.Timestamp `json:"next_rotation,omitzero"`
}

func (KeyRotated) EventType() event.Type { return "vault.key_rotated" }

func ExampleDecode() {
	e := event.Must(KeyRotated{Key: "backup-signing"}, event.Meta{})
	switch e.Type() {
	case "vault.key_rotated":
		rotated, err := event.Decode[KeyRotated](e)
		fmt.Println(rotated.Key, err)
	case event.TypeGrantRevoked:
		revoked, err := event.Decode[event.GrantRevoked](e)
		fmt.Println(revoked.Reason, err)
	}
	_, err := event.Decode[event.RequestApproved](e)
	fmt.Println(err)
	// Output:
	// backup-signing <nil>
	// event: type is vault.key_rotated, not request.approved; switch on Event.Type before decoding
}

func ExampleTypes() {
	filter := event.All(
		event.Types("request.*", "session.*"),
		event.Not(event.Types("request.expired")),
	)
	fmt.Println(filter)
	for _, t := range []event.Type{event.TypeRequestApproved, event.TypeRequestExpired, event.TypeSessionEnded, event.TypeGrantActive} {
		e, _ := event.Sample(t)
		fmt.Println(t, filter.Match(e))
	}
	fmt.Println(event.Types("request.*", "Grant.Active").Err())
	// Output:
	// all(request.*|session.*, not(request.expired))
	// request.approved true
	// request.expired false
	// session.ended true
	// grant.active false
	// event: patterns[1] is "Grant.Active", which is neither a type nor a prefix of types; write a type ("request.pending"), a prefix ("request.*") or "*"
}

// Each call makes another event, of the tenant that tries a channel.
func ExampleSampleForTest() {
	e, err := event.SampleForTest(event.TypeGrantExpiringSoon, event.Meta{Tenant: "acme"})
	if err != nil {
		fmt.Println(err)
		return
	}
	grant, err := event.Decode[event.GrantExpiringSoon](e)
	fmt.Println(e.IsTest(), e.Tenant(), grant.Granted.ExpiresAt.Sub(e.Time()), err)
	// Output:
	// true acme 15m0s <nil>
}
