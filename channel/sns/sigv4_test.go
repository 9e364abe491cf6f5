package sns_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// verifier checks Signature Version 4 as a server does, written from "Signature Version 4 signing process" in the AWS
// IAM User Guide and sharing nothing with the SDK.
type verifier struct {
	service, region string
	secret          func(accessKeyID string) (secret, token string, known bool)
	now             func() time.Time
}

// signed is a request as it came over the wire.
type signed struct {
	method, target string
	header         [][2]string // in their order, with Host
	body           []byte
}

// asSigned undoes what net/http does to a request's header.
func asSigned(r *http.Request, body []byte) signed {
	s := signed{method: r.Method, target: r.RequestURI, body: body, header: [][2]string{{"Host", r.Host}}}
	if r.ContentLength >= 0 {
		s.header = append(s.header, [2]string{"Content-Length", strconv.FormatInt(r.ContentLength, 10)})
	}
	for name, values := range r.Header {
		for _, v := range values {
			if name != "Content-Length" {
				s.header = append(s.header, [2]string{name, v})
			}
		}
	}
	return s
}

// get returns the values of a header.
func (s signed) get(name string) (values []string) {
	for _, h := range s.header {
		if strings.EqualFold(h[0], name) {
			values = append(values, h[1])
		}
	}
	return values
}

// window is how far a request's time may be from the server's.
const window = 15 * time.Minute

var errExpired = errors.New("the request's time is not now")

// check returns nil for a request that its sender has signed.
func (v verifier) check(s signed) error {
	authorization := s.get("Authorization")
	date := s.get("X-Amz-Date")
	if len(authorization) != 1 || len(date) != 1 {
		return errors.New("there is not one Authorization and one X-Amz-Date")
	}
	rest, ok := strings.CutPrefix(authorization[0], "AWS4-HMAC-SHA256 ")
	if !ok {
		return errors.New("it is not AWS4-HMAC-SHA256")
	}
	parts := make(map[string]string)
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		parts[name] = value
	}
	at, err := time.Parse("20060102T150405Z", date[0])
	if err != nil {
		return err
	}
	if off := at.Sub(v.now()).Abs(); off > window {
		return errExpired
	}
	id, scope, _ := strings.Cut(parts["Credential"], "/")
	day := at.Format("20060102")
	if scope != day+"/"+v.region+"/"+v.service+"/aws4_request" {
		return fmt.Errorf("the scope is %q", scope)
	}
	secret, token, known := v.secret(id)
	if !known {
		return fmt.Errorf("there is no access key %q", id)
	}
	names := strings.Split(parts["SignedHeaders"], ";")
	if !slices.IsSorted(names) || !slices.Contains(names, "host") {
		return fmt.Errorf("the signed headers are %q", names)
	}
	for _, h := range s.header { // every header of Amazon's must be signed
		if name := strings.ToLower(h[0]); strings.HasPrefix(name, "x-amz-") && !slices.Contains(names, name) {
			return fmt.Errorf("%s is not signed", h[0])
		}
	}
	if got := strings.Join(s.get("X-Amz-Security-Token"), ","); got != token {
		return errors.New("the session token is another one")
	}
	canonical, err := s.canonical(names)
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(canonical))
	key := []byte("AWS4" + secret)
	for _, part := range []string{day, v.region, v.service, "aws4_request"} {
		key = hmac256(key, part)
	}
	want := hex.EncodeToString(hmac256(key, "AWS4-HMAC-SHA256\n"+date[0]+"\n"+scope+"\n"+hex.EncodeToString(sum[:])))
	if !hmac.Equal([]byte(want), []byte(parts["Signature"])) {
		return errors.New("the signature does not fit the request")
	}
	return nil
}

func hmac256(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// canonical returns the canonical request.
func (s signed) canonical(names []string) (string, error) {
	path, query, _ := strings.Cut(s.target, "?")
	var pairs [][2]string
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		n, err := url.PathUnescape(name)
		if err != nil {
			return "", err
		}
		v, err := url.PathUnescape(value)
		if err != nil {
			return "", err
		}
		pairs = append(pairs, [2]string{percent(n, ""), percent(v, "")})
	}
	slices.SortFunc(pairs, func(a, b [2]string) int {
		if c := strings.Compare(a[0], b[0]); c != 0 {
			return c
		}
		return strings.Compare(a[1], b[1])
	})
	var q []string
	for _, p := range pairs {
		q = append(q, p[0]+"="+p[1])
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n%s\n", s.method, percent(path, "/"), strings.Join(q, "&"))
	for _, name := range names {
		values := s.get(name)
		if len(values) == 0 {
			return "", fmt.Errorf("%s is signed and not sent", name)
		}
		for i, v := range values {
			values[i] = strings.Join(strings.Fields(v), " ")
		}
		fmt.Fprintf(&b, "%s:%s\n", name, strings.Join(values, ","))
	}
	sum := sha256.Sum256(s.body)
	if declared := s.get("X-Amz-Content-Sha256"); len(declared) > 0 && declared[0] != hex.EncodeToString(sum[:]) {
		return "", errors.New("X-Amz-Content-Sha256 is not that of the body")
	}
	fmt.Fprintf(&b, "\n%s\n%x", strings.Join(names, ";"), sum)
	return b.String(), nil
}

// percent encodes all but the unreserved characters of RFC 3986 and those in keep.
func percent(s, keep string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~"+keep, c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// readVector reads a request of AWS's test suite, which is not quite HTTP: lines end with LF, targets are not encoded,
// and a value may go on in lines that begin with blanks.
func readVector(t testing.TB, raw []byte) signed {
	t.Helper()
	head, body, ok := bytes.Cut(raw, []byte("\n\n"))
	require.True(t, ok)
	lines := strings.Split(string(head), "\n")
	start := strings.TrimSuffix(lines[0], " HTTP/1.1")
	method, target, _ := strings.Cut(start, " ")
	s := signed{method: method, target: target, body: body}
	for _, line := range lines[1:] {
		if strings.HasPrefix(line, " ") {
			name := s.header[len(s.header)-1][0]
			s.header = append(s.header, [2]string{name, line})
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		s.header = append(s.header, [2]string{name, value})
	}
	return s
}

// suite is the verifier of AWS's test suite.
func suite(s signed) verifier {
	return verifier{
		service: "service", region: "us-east-1",
		now: func() time.Time { return time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC) },
		secret: func(id string) (string, string, bool) {
			return "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", strings.Join(s.get("X-Amz-Security-Token"), ","), id == "AKIDEXAMPLE"
		},
	}
}

// The verifier that judges our requests is itself judged by the vectors AWS publishes, and refuses each of them as soon
// as anything in it is another.
func TestTheVerifierPassesTheVectorsOfAWS(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/sigv4/*.txt")
	require.NoError(t, err)
	require.Len(t, files, 16)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			raw, err := os.ReadFile(file)
			require.NoError(t, err)
			s := readVector(t, raw)
			require.NoError(t, suite(s).check(s))

			for what, change := range map[string]func(*signed){
				"method":         func(s *signed) { s.method = "PUT" },
				"path":           func(s *signed) { s.target = "/x" + s.target },
				"query":          func(s *signed) { s.target += "?more=1&" },
				"body":           func(s *signed) { s.body = append(bytes.Clone(s.body), '!') },
				"host":           func(s *signed) { s.set("Host", "example.org") },
				"date":           func(s *signed) { s.set("X-Amz-Date", "20150830T123601Z") },
				"unsigned x-amz": func(s *signed) { s.header = append(slices.Clone(s.header), [2]string{"X-Amz-Target", "x"}) },
				"signature":      func(s *signed) { s.set("Authorization", flip(s.get("Authorization")[0])) },
			} {
				forged := s
				forged.header = slices.Clone(s.header)
				change(&forged)
				assert.Error(t, suite(s).check(forged), what)
			}
			other := suite(s)
			other.secret = func(string) (string, string, bool) {
				return "another", strings.Join(s.get("X-Amz-Security-Token"), ","), true
			}
			require.Error(t, other.check(s), "another secret")
			later := suite(s)
			later.now = func() time.Time { return time.Date(2015, 8, 30, 12, 52, 0, 0, time.UTC) }
			require.ErrorIs(t, later.check(s), errExpired)
		})
	}
}

// set replaces the value of a header.
func (s *signed) set(name, value string) {
	for i, h := range s.header {
		if strings.EqualFold(h[0], name) {
			s.header[i][1] = value
		}
	}
}

// flip changes the last digit of a signature.
func flip(s string) string {
	last := byte('0')
	if s[len(s)-1] == '0' {
		last = '1'
	}
	return s[:len(s)-1] + string(last)
}
