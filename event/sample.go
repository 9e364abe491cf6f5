package event

import "time"

// sampleStart is when the story that the samples tell begins.
func sampleStart() time.Time { return time.Unix(1696263265, 851898000) }

func sampleAt(after time.Duration) Timestamp { return At(sampleStart().Add(after)) }

func priya() Person {
	return Person{ID: "usr-1041", Name: "Priya Nair", Email: "priya.nair@example.com"}
}

func tomas() Person {
	return Person{ID: "usr-1007", Name: "Tomás Ferreira", Email: "tomas.ferreira@example.com"}
}

func ingrid() Person {
	return Person{ID: "usr-1012", Name: "Ingrid Solberg", Email: "ingrid.solberg@example.com"}
}
