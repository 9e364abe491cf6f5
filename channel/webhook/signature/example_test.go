package signature_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/tocsin-go/tocsin/channel/webhook/signature"
)

// A receiver checks the signature of all it was sent before it reads any of it.
func ExampleVerifier() {
	// Two secrets while the sender changes from the second to the first.
	verifier, err := signature.NewVerifier(signature.Standard,
		"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		"whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
	)
	if err != nil {
		panic(err)
	}
	receiver := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err == nil {
			err = verifier.Verify(r.Header, body)
		}
		if err != nil {
			fmt.Println(err)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Println("trusted:", string(body))
	})

	// What webhook.Sign does for a sender, done by hand.
	key, err := signature.NewKey(signature.Standard, "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")
	if err != nil {
		panic(err)
	}
	send := func(body, really string) {
		timestamp, signatures := signature.Standard.Sign("msg-1", time.Now(), []byte(body), key)
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(really))
		r.Header.Set("webhook-id", "msg-1")
		r.Header.Set("webhook-timestamp", timestamp)
		r.Header.Set("webhook-signature", signatures)
		receiver(httptest.NewRecorder(), r)
	}
	send(`{"role":"reader"}`, `{"role":"reader"}`)
	send(`{"role":"reader"}`, `{"role":"admin"}`)
	// Output:
	// trusted: {"role":"reader"}
	// signature: Webhook-Signature has no signature by one of the keys
}
