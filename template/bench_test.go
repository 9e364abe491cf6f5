package template

import (
	"context"
	"encoding/json"
	"testing"
)

func BenchmarkRender(b *testing.B) {
	source, data := accessRequest(b)
	tpl := compile(b, source, Options{})
	raw := compile(b, source, Options{Mode: Text})
	ctx := context.Background()
	var dst []byte
	b.Run("text without json.Valid", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			dst, _ = raw.Render(ctx, dst[:0], data)
		}
	})
	b.Run("json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			dst, _ = tpl.Render(ctx, dst[:0], data)
		}
		b.SetBytes(int64(len(dst)))
	})
	b.Run("json.Valid", func(b *testing.B) {
		for b.Loop() {
			json.Valid(dst)
		}
	})
}
