package secret

import (
	"fmt"
	"strings"
	"testing"
)

// sampleBody is a JSON event body of about n bytes that holds no secret.
func sampleBody(n int) string {
	var b strings.Builder
	b.WriteString(`{"event_type":"request.approved","event_time":1696263265.851898000,"data":{"groups":[`)
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, `{"id":"f3a1c9d2-%04d","integration":{"name":"prod-postgres","type":"postgresql"},"justification":"deploy"},`, i)
	}
	b.WriteString(`{}]}}`)
	return b.String()
}

// What a delivery's receipt costs: a 1 KiB body is searched for all secrets of a channel.
func BenchmarkRedactor(b *testing.B) {
	for _, values := range []int{1, 10, 35} {
		var list []string
		for i := range values {
			list = append(list, fmt.Sprintf("sk_live_%02d_51HxYzQ2eZvKYlo2C%d", i, i*7919))
		}
		r := NewRedactor(list...)
		for _, body := range []struct{ name, text string }{
			{"clean", sampleBody(1024)},
			{"escapes", sampleBody(1000) + `"a\nb\"c%20d"`},
			{"match", sampleBody(1000) + list[0]},
			{"64KiB", sampleBody(64 << 10)},
		} {
			b.Run(fmt.Sprintf("values=%d/%s", values, body.name), func(b *testing.B) {
				text := []byte(body.text)
				b.SetBytes(int64(len(text)))
				b.ReportAllocs()
				for b.Loop() {
					_ = r.Bytes(text)
				}
			})
		}
	}
}

func BenchmarkSet(b *testing.B) {
	s := NewSet(Literal("sk_live_0123456789"), Literal("another-secret-value"))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Redactor(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
