package manage

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/tocsin-go/tocsin/event"
)

// formVersion is that of the form of stored content.
const formVersion = 1

// content is what is stored for a tenant, before it is sealed.
type content struct {
	Version int `json:"version"`
	// Document is the configuration with its secrets.
	Document json.RawMessage `json:"document"`
	// Revision is that of the latest change, if the record was stored once more since, without one; 0 = it is its own.
	Revision Revision `json:"revision,omitempty"`
	// Channels is what is known of each besides that.
	Channels map[string]mark `json:"channels,omitempty"`
	// Changes are those whose events may not have been dispatched yet.
	Changes []change `json:"changes,omitempty"`
	// Removed are routes that were removed and whose lanes may not be empty yet: one that gets such a name again must
	// not inherit what waited for the other.
	Removed []string `json:"removed,omitempty"`
}

// mark is what is stored of a channel besides the document.
type mark struct {
	// Changed is the revision that the latest change of the channel replaced.
	Changed Revision `json:"changed"`
	// Created recognises the request that created the channel, while nothing has changed it; empty = something has.
	Created []byte `json:"created,omitempty"`
}

// change is a change of the document, stored with it, so that its event is dispatched if and only if it is stored.
type change struct {
	Revision Revision   `json:"revision,omitempty"` // 0 = that of the record that it is in
	Type     event.Type `json:"type"`
	At       time.Time  `json:"at"`

	event.ConfigChange
}

// UnreadableError says that what is stored for a tenant cannot be read. It is left as it is.
type UnreadableError struct {
	Tenant  string
	Problem string
}

// Error returns tenant and problem, and nothing of the content.
func (e *UnreadableError) Error() string {
	return fmt.Sprintf("manage: the stored configuration of tenant %q %s", e.Tenant, e.Problem)
}

// decodeContent reads what is stored for a tenant.
func decodeContent(tenant string, stored []byte) (*content, error) {
	var form struct {
		Version int `json:"version"`
	}
	if json.Unmarshal(stored, &form) != nil {
		return nil, &UnreadableError{tenant, "is not in the form that this version reads"}
	}
	if form.Version != formVersion {
		return nil, &UnreadableError{tenant, fmt.Sprintf("has form %d, and this version reads form %d", form.Version, formVersion)}
	}
	var c content
	d := json.NewDecoder(bytes.NewReader(stored))
	d.DisallowUnknownFields() // what is not known here must not be lost by the next change
	if err := d.Decode(&c); err != nil {
		return nil, &UnreadableError{tenant, "has something that this version does not know"}
	}
	return &c, nil
}

// encode writes c as decodeContent reads it.
func (c *content) encode() []byte {
	c.Version = formVersion
	text, _ := json.Marshal(c) // texts and numbers always can be
	return text
}
