package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"sync"
	"time"
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
