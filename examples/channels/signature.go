package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

var signedHeaders = regexp.MustCompile(`SignedHeaders=([^,]+)`)

// isSigned tells whether a request was signed with the topic's key just now: it signs what came once more and compares.
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
