package manage

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
)

// cursor is a place in a list. It is good for the tenant and the filters that it was made for only.
type cursor struct {
	Of   []byte `json:"o"` // a hash of these
	Name string `json:"n,omitempty"`
	Rank int    `json:"r,omitempty"`
	Seq  int64  `json:"s,omitempty"`
}

// scopeOf is what a cursor is bound to.
func scopeOf(c *call) []byte {
	q := url.Values{}
	for name, values := range c.request.URL.Query() {
		if !slices.Contains([]string{"cursor", "limit"}, name) {
			q[name] = values
		}
	}
	text, _ := json.Marshal([]string{c.by.Tenant, c.endpoint.path, q.Encode()}) // texts always can be
	sum := sha256.Sum256(text)
	return sum[:12]
}

func (c *call) encodeCursor(at cursor) string {
	at.Of = scopeOf(c)
	text, _ := json.Marshal(at) // texts and numbers always can be
	return base64.RawURLEncoding.EncodeToString(text)
}

// cursor reads the request's; zero = it has none. One of another list is unknown, as is one that was made up.
func (c *call) cursor() (cursor, error) {
	given := c.request.URL.Query().Get("cursor")
	if given == "" {
		return cursor{}, nil
	}
	var at cursor
	text, err := base64.RawURLEncoding.DecodeString(given)
	if err != nil || json.Unmarshal(text, &at) != nil || !slices.Equal(at.Of, scopeOf(c)) {
		return cursor{}, newError(CodeNotFound, "there is no such page", "begin with the first one")
	}
	return at, nil
}

// page is where the page begins that is asked for, and the most that it has.
func (c *call) page() (from cursor, limit int, err error) {
	if limit, err = c.limit(); err != nil {
		return cursor{}, 0, err
	}
	from, err = c.cursor()
	return from, limit, err
}

// cutPage returns the first limit of found, and the cursor of the page behind them; "" = there is none. at is the place
// of an entry.
func cutPage[T any](c *call, found []T, limit int, at func(T) cursor) (page []T, next string) {
	if len(found) <= limit {
		return found, ""
	}
	return found[:limit], c.encodeCursor(at(found[limit-1]))
}
