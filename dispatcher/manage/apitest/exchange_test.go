package apitest_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// exchange is a request of the tests of package manage, and its answer.
type exchange struct {
	Method, Path  string
	RequestHeader http.Header
	RequestBody   string
	Status        int
	Header        http.Header
	Body          string
}

// record runs the tests of package manage and returns their exchanges.
func record(t *testing.T) []exchange {
	t.Helper()
	file := filepath.Join(t.TempDir(), "exchanges")
	tests := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-run", "Endpoint|Creates|Create|Tenants|Roles|Inactive|Headers|CrossOrigin|Internal|DoesNotAnswer", "github.com/tocsin-go/tocsin/dispatcher/manage")
	tests.Env = append(os.Environ(), "TOCSIN_RECORD_EXCHANGES="+file)
	out, err := tests.CombinedOutput()
	require.NoError(t, err, string(out))
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	var all []exchange
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e exchange
		require.NoError(t, json.Unmarshal(lines.Bytes(), &e))
		all = append(all, e)
	}
	require.NoError(t, lines.Err())
	return all
}

// description loads the OpenAPI document that is checked in.
func description(t *testing.T) (*openapi3.T, routers.Router) {
	t.Helper()
	text, err := os.ReadFile("../openapi.json")
	require.NoError(t, err)
	doc, err := openapi3.NewLoader().LoadFromData(text)
	require.NoError(t, err)
	require.NoError(t, doc.Validate(t.Context()))
	doc.Servers = openapi3.Servers{{URL: "/"}}
	router, err := gorillamux.NewRouter(doc)
	require.NoError(t, err)
	return doc, router
}

// Every answer is as described. So is every request that is answered as a success: what the API takes is described.
func TestExchangesAreAsDescribed(t *testing.T) {
	doc, router := description(t)
	exchanges := record(t)
	seen := map[string]bool{}
	for _, e := range exchanges {
		req, err := http.NewRequestWithContext(t.Context(), e.Method, "http://localhost"+e.Path, strings.NewReader(e.RequestBody))
		require.NoError(t, err)
		req.Header = e.RequestHeader
		route, path, err := router.FindRoute(req)
		if e.Method == http.MethodHead || err != nil {
			assert.NotEqual(t, 2, e.Status/100*len(e.Body[:min(1, len(e.Body))]), "%s %s is answered, and not described", e.Method, e.Path)
			continue
		}
		input := &openapi3filter.RequestValidationInput{Request: req, PathParams: path, Route: route, Options: &openapi3filter.Options{
			AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true,
		}}
		if e.Status/100 == 2 {
			seen[route.Operation.OperationID] = true
			if e.RequestHeader.Get("Content-Type") != "application/yaml" {
				assert.NoError(t, openapi3filter.ValidateRequest(t.Context(), input), "%s %s %s", e.Method, e.Path, e.RequestBody)
			}
		}
		if e.Header.Get("Content-Type") == "application/yaml" {
			continue
		}
		assert.NoError(t, openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
			RequestValidationInput: input, Status: e.Status, Header: e.Header, Body: io.NopCloser(bytes.NewBufferString(e.Body)), Options: input.Options,
		}), "%s %s: %d %s", e.Method, e.Path, e.Status, e.Body)
	}
	var untried []string
	for _, item := range doc.Paths.Map() {
		for _, op := range item.Operations() {
			if !seen[op.OperationID] {
				untried = append(untried, op.OperationID)
			}
		}
	}
	assert.Empty(t, untried, "operations without a success in the tests")
}
