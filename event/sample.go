package event

import (
	"crypto/sha256"
	"time"
)

// Sample returns a realistic event of a catalogue type, for previews, documentation and golden files; false for other
// types. It is the same on every call, also its id and time, belongs to no tenant and no source, and is not marked as a
// test: [SampleForTest] is for what is sent to somebody.
func Sample(t Type) (Event, bool) {
	c, ok := findEntry(t)
	if !ok {
		return Event{}, false
	}
	at := sampleStart().Add(c.after)
	hash := sha256.Sum256([]byte(t)) // stands for the random part of the id
	return Must(c.sample(sampleStart()), Meta{ID: uuid7(at, [16]byte(hash[:16])), Time: at}), true
}

// SampleForTest returns a realistic event of a catalogue type, for a test send: marked as a test as [Event.ForTest]
// does, with m as its metadata. So it has a new id and the present time unless m says something else, and the tenant
// and source of m. Times in its data go with its own: access that expires soon does so from then on. The error is an
// [*InvalidError]. An event of a host's own type is a test by ForTest.
func SampleForTest(t Type, m Meta) (Event, error) {
	c, ok := findEntry(t)
	if !ok {
		return Event{}, &InvalidError{Field: "type", Problem: "is not in the catalogue", Remedy: "use one of Catalogue, or ForTest of an event of your own"}
	}
	if m.Time.IsZero() {
		m.Time = time.Now()
	}
	e, err := New(c.sample(m.Time.Add(-c.after)), m)
	if err != nil {
		return Event{}, err
	}
	made := e.p.content
	made.test = true
	return newEvent(made), nil
}

// sampleStart is when the records of all samples begin.
func sampleStart() time.Time { return time.Unix(1696263265, 851898000) }

func priya() Person {
	return Person{ID: "usr-1041", Name: "Priya Nair", Email: "priya.nair@example.com"}
}

func tomas() Person {
	return Person{ID: "usr-1007", Name: "Tomás Ferreira", Email: "tomas.ferreira@example.com"}
}

func ingrid() Person {
	return Person{ID: "usr-1012", Name: "Ingrid Solberg", Email: "ingrid.solberg@example.com"}
}
