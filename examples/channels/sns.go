package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

const (
	region    = "eu-west-1"
	topicARN  = "arn:aws:sns:" + region + ":123456789012:access-events.fifo"
	keyID     = "AKIAONLYFOREXAMPLE"
	keySecret = "only-for-this-example"
)

// topic imitates a FIFO topic of Amazon SNS. It believes nobody without a signature of its key.
type topic struct {
	*httptest.Server

	mu        sync.Mutex
	published []publication
}

// publication is what subscribers get.
type publication struct {
	subject, message string
	group, dedup     string
	attributes       map[string]string
}

func newTopic() *topic {
	t := new(topic)
	t.Server = httptest.NewServer(t)
	return t
}

// ServeHTTP answers a Publish in the XML of the Query protocol.
func (t *topic) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		return
	}
	status, code := http.StatusBadRequest, "InvalidParameter"
	form, err := url.ParseQuery(string(body))
	switch p := read(form); {
	case err != nil:
	case !isSigned(r, body, time.Now()):
		status, code = http.StatusForbidden, "SignatureDoesNotMatch"
	case form.Get("Action") != "Publish" || form.Get("Version") != "2010-03-31":
		code = "InvalidAction"
	case form.Get("TopicArn") != topicARN:
		status, code = http.StatusNotFound, "NotFound"
	case p.message == "" || p.group == "" || p.dedup == "" || len(p.group) > 128 || len(p.dedup) > 128 || len(p.attributes) > 10:
	default:
		w.Header().Set("Content-Type", "text/xml")
		fmt.Fprintf(w, "<PublishResponse><PublishResult><MessageId>%s</MessageId></PublishResult></PublishResponse>", t.publish(p))
		return
	}
	w.WriteHeader(status)
	fmt.Fprintf(w, "<ErrorResponse><Error><Code>%s</Code></Error></ErrorResponse>", code)
}

// read takes a message out of a request's form.
func read(form url.Values) publication {
	p := publication{
		subject: form.Get("Subject"), message: form.Get("Message"),
		group: form.Get("MessageGroupId"), dedup: form.Get("MessageDeduplicationId"),
		attributes: make(map[string]string),
	}
	for i := 1; ; i++ {
		entry := "MessageAttributes.entry." + strconv.Itoa(i) + "."
		name := form.Get(entry + "Name")
		if name == "" {
			return p
		}
		p.attributes[name] = form.Get(entry + "Value.StringValue")
	}
}

// publish keeps a message and returns its id. One whose deduplication id is known already is taken and dropped.
func (t *topic) publish(p publication) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, known := range t.published {
		if known.dedup == p.dedup {
			return "message-" + strconv.Itoa(i+1)
		}
	}
	t.published = append(t.published, p)
	return "message-" + strconv.Itoa(len(t.published))
}

// last returns the latest message.
func (t *topic) last() publication {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.published) == 0 {
		return publication{}
	}
	return t.published[len(t.published)-1]
}

var signedHeaders = regexp.MustCompile(`SignedHeaders=([^,]+)`)

// isSigned reports whether a request was signed with the topic's key just now: it signs what came once more and
// compares.
func isSigned(r *http.Request, body []byte, now time.Time) bool {
	names := signedHeaders.FindStringSubmatch(r.Header.Get("Authorization"))
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if names == nil || err != nil || at.Sub(now).Abs() > 15*time.Minute {
		return false
	}
	again, err := http.NewRequestWithContext(r.Context(), r.Method, "http://"+r.Host+r.RequestURI, bytes.NewReader(body))
	if err != nil {
		return false
	}
	for name := range strings.SplitSeq(names[1], ";") {
		if values := r.Header.Values(name); values != nil {
			again.Header[http.CanonicalHeaderKey(name)] = values
		}
	}
	sum := sha256.Sum256(body)
	key := aws.Credentials{AccessKeyID: keyID, SecretAccessKey: keySecret}
	err = v4.NewSigner().SignHTTP(r.Context(), key, again, hex.EncodeToString(sum[:]), "sns", region, at)
	return err == nil && again.Header.Get("Authorization") == r.Header.Get("Authorization")
}
