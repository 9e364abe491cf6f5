package notice

import (
	"encoding/json"
	"testing"

	"github.com/tocsin-go/tocsin/event"
)

// FuzzOf: whatever an event holds, its Notice keeps its promises.
func FuzzOf(f *testing.F) {
	for i, typ := range event.Catalogue() {
		e, _ := event.Sample(typ)
		f.Add(byte(i), []byte(e.Data()), "subject")
	}
	f.Add(byte(255), []byte(`{"url":"https://a.example/|","x":"\u202e\u0000","t":1696263265.851898000,"n":-1e400,"":"","é":[1],"o":{"a":{}}}`), "")
	for _, text := range hostileTexts() {
		data, _ := json.Marshal(map[string]any{"requester": map[string]string{"name": text}, "justification": text, "url": text, "alert_title": text, "route": text, "display_name": text, "user": text, text: text})
		f.Add(byte(len(text)), data, "s")
	}
	types := append(event.Catalogue(), "host.note")
	f.Fuzz(func(t *testing.T, kind byte, data []byte, subject string) {
		if len(data) > 64<<10 || !json.Valid(data) {
			return
		}
		e, err := event.New(payload{types[int(kind)%len(types)], json.RawMessage(data)}, event.Meta{Subject: subject})
		if err != nil {
			return
		}
		n := Of(e)
		checkPromises(t, n)
		if n.Text() == "" {
			t.Error("no text")
		}
	})
}
