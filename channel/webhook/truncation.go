package webhook

import (
	"errors"
	"slices"
	"unicode/utf8"

	"github.com/tocsin-go/tocsin/event"
	"github.com/tocsin-go/tocsin/template"
)

// errTooLong says that what was made is too long for its place.
var errTooLong = errors.New("too long")

// limitSize returns errTooLong when size is beyond limit.
func limitSize(size, limit int) error {
	if size > limit {
		return errTooLong
	}
	return nil
}

// fit calls try with the data of an event. While what try makes of it does not fit into its place, or takes more steps
// than a template has, it calls try again with the texts in data cut shorter, and with "-" for those that would change
// a path: no text of an event keeps it from being sent.
func fit(data map[string]any, try func(data map[string]any) error) error {
	err := try(data)
	segments := false
	for _, most := range [...]int{4096, 1024, 256, 64, 16} {
		failed, _ := errors.AsType[*template.RenderError](err)
		isSegment := failed != nil && failed.Kind == template.KindSegment
		isLimit := failed != nil && (failed.Kind == template.KindSize || failed.Kind == template.KindSteps)
		if !isSegment && !isLimit && !errors.Is(err, errTooLong) {
			return err
		}
		segments = segments || isSegment
		cut, _ := shortened(data, most, segments).(map[string]any)
		for _, name := range [...]string{"tenant", "subject", "source"} {
			if _, has := cut[name]; segments && !has { // events leave out what is empty
				cut[name] = "-"
			}
		}
		err = try(cut)
	}
	return err
}

// shortEvent returns e with its longest texts cut until its JSON form has at most size bytes; e itself where cutting
// texts is not enough, because data without its values is not the event.
func shortEvent(e event.Event, size int) event.Event {
	short := e.Shorten(size)
	if lost := short.Shortened(); slices.Contains(lost, "data") || slices.Contains(lost, "attributes") {
		return e
	}
	return short
}

// shortened returns a copy of data with texts of at most the given number of characters; with segments, what cannot be
// a segment of a path is "-".
func shortened(data any, most int, segments bool) any {
	switch v := data.(type) {
	case map[string]any:
		c := make(map[string]any, len(v))
		for name, inner := range v {
			c[name] = shortened(inner, most, segments)
		}
		return c
	case []any:
		c := make([]any, len(v))
		for i, inner := range v {
			c[i] = shortened(inner, most, segments)
		}
		return c
	case string:
		if segments && (v == "" || v == "." || v == "..") {
			return "-"
		}
		return firstCharacters(v, most)
	}
	return data
}

// firstCharacters returns at most n characters of s, the last of which is "…" if there were more.
func firstCharacters(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	end := 0
	for range n - 1 {
		_, size := utf8.DecodeRuneInString(s[end:])
		end += size
	}
	return s[:end] + "…"
}
