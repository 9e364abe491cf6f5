package notice

// Phase is what an event does to the story of its subject, for destinations that update, acknowledge or close.
type Phase uint8

// The phases.
const (
	Standalone Phase = iota // belongs to no story, or to one nobody knows the end of
	Opens                   // begins the story, or gives it a turn that somebody has to look at
	Updates                 // further news
	Closes                  // the story is over
)

// String returns the name in lower case.
func (p Phase) String() string {
	switch p {
	case Opens:
		return "opens"
	case Updates:
		return "updates"
	case Closes:
		return "closes"
	default:
		return "standalone"
	}
}
