package signature_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel/webhook/signature"
)

// BenchmarkSign signs 1 KiB beside the floor, crypto/hmac made anew each time as ordinary code does. The reference
// library is measured in channel/oracletest. The two allocations are the strings that are returned.
func BenchmarkSign(b *testing.B) {
	body := []byte(strings.Repeat("x", 1<<10))
	key, err := signature.NewKey(signature.Standard, secrets[1])
	require.NoError(b, err)
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			signature.Standard.Sign("event-7_on-call", noon, body, key)
		}
	})
	b.Run("hmac made anew", func(b *testing.B) {
		secret, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secrets[1], "whsec_"))
		require.NoError(b, err)
		b.ReportAllocs()
		for b.Loop() {
			mac := hmac.New(sha256.New, secret)
			mac.Write([]byte("event-7_on-call." + strconv.FormatInt(noon.Unix(), 10) + "."))
			mac.Write(body)
			_ = "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
		}
	})
	b.Run("verify", func(b *testing.B) {
		h := signed(b, signature.Standard, string(body), secrets[1])
		v := verifier(b, signature.Standard, noon.Add(time.Second), secrets[1])
		b.ReportAllocs()
		for b.Loop() {
			if err := v.Verify(h, body); err != nil {
				b.Fatal(err)
			}
		}
	})
}
