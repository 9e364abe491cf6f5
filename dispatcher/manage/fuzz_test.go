package manage_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/manage"
)

// Whatever is sent to whichever endpoint is answered, with a problem that points somewhere or with a success, and never
// as an internal error. A stored secret is not in any answer.
func FuzzRequests(f *testing.F) {
	for _, row := range rows() {
		f.Add(row.method, row.path, `{"name": "a", "channel": {"type": "webhook", "url": "https://x.example"}, "routes": [{}]}`)
	}
	f.Add("POST", "/notification-channels/generic-webhook", `{"name": "b", "url": "https://x.example", "headers": {"X-A": "b", "x-a": null}, "event_filters": [""]}`)
	f.Add("POST", "/notification-channels/email", "{\"name\": \"\\u0000\", \"to_addresses\": [[]]}")
	f.Add("PUT", "/notification-config?dry_run=true", `{"channels": [{}], "routes": null}`)
	f.Add("GET", "/notification-channels?cursor=eyJvIjoiIn0&limit=1", "")
	f.Add("GET", "/notification-channels/%2F%2e%00", "")
	s, err := manage.New(f.Context(), options(f, manage.NewMemory()))
	require.NoError(f, err)
	f.Cleanup(func() {
		if err := s.Shutdown(f.Context()); !errors.Is(err, f.Context().Err()) {
			assert.NoError(f, err)
		}
	})
	const secret = "not-a-real-secret-of-the-fuzz-test"
	_, _, err = s.Create(f.Context(), priya, manage.ChannelInput{Channel: json.RawMessage(`{"type": "webhook", "name": "a", "url": "https://x.example", "auth": {"kind": "bearer", "token": "` + secret + `"}}`)})
	require.NoError(f, err)
	h, err := s.Handler(manage.HandlerOptions{Access: func(*http.Request) (manage.Access, error) {
		return manage.Access{Tenant: "acme", Actor: "fuzz", Role: manage.Editor | manage.Operator, Payloads: true}, nil
	}})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, method, path, body string) {
		req, err := http.NewRequestWithContext(t.Context(), method, "http://localhost/v1"+path, strings.NewReader(body))
		if err != nil || strings.Contains(path, "/test") { // which would send something
			return
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("If-Match", "*")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		assert.NotEqual(t, http.StatusInternalServerError, w.Code, w.Body.String())
		assert.NotContains(t, w.Body.String(), secret)
		if w.Code >= http.StatusBadRequest && method != http.MethodHead {
			var p struct {
				Type   string
				Status int
			}
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &p), w.Body.String())
			assert.Equal(t, w.Code, p.Status)
			assert.True(t, strings.HasPrefix(p.Type, "urn:tocsin:problem:"))
		}
	})
}
