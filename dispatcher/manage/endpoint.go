package manage

import (
	"net/http"
	"slices"
)

// endpoints are all rows of the API.
func endpoints() []endpoint {
	return slices.Concat(channelEndpoints(), createEndpoints(), stateEndpoints(), testEndpoints(), secretEndpoints(),
		historyEndpoints(), deadLetterEndpoints(), catalogueEndpoints(), previewEndpoints(), documentEndpoints(), statusEndpoints())
}

// Parameters that several have.
func textParameter(name, doc string) parameter {
	return parameter{name, doc, map[string]any{"type": "string"}}
}

func oneOf(name, doc string, values ...string) parameter {
	return parameter{name, doc, map[string]any{"type": "string", "enum": values}}
}

func timeParameter(name, doc string) parameter {
	return parameter{name, doc, map[string]any{"type": "string", "format": "date-time"}}
}

func pageParameters() []parameter {
	return []parameter{
		textParameter("cursor", "Where the page begins: next_cursor of the one before, with the same other parameters."),
		{"limit", "The most entries of a page. Default: 50.", map[string]any{"type": "integer", "minimum": 1, "maximum": 200}},
	}
}

// ok is the one answer of most endpoints.
func ok(body any, doc string) []answer { return []answer{{http.StatusOK, body, doc}} }
