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

func tooLong(is bool) error {
	if is {
		return errTooLong
	}
	return nil
}

// fit calls try with the data of an event. While what try makes of it does not fit into its place, or takes more steps
// than a template has, it calls try again with the texts in data cut shorter, and with "-" for those that would change
// a path: nobody's text keeps an event from being sent.
func fit(data map[string]any, try func(data map[string]any) error) error {
	err := try(data)
	segments := false
	for _, most := range [...]int{4096, 1024, 256, 64, 16} {
		if !isMisfit(err) {
			return err
		}
		segments = segments || isSegment(err)
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

func isMisfit(err error) bool {
	failed, ok := errors.AsType[*template.RenderError](err)
	return errors.Is(err, errTooLong) ||
		ok && (failed.Kind == template.KindSize || failed.Kind == template.KindSteps || failed.Kind == template.KindSegment)
}

func isSegment(err error) bool {
	failed, ok := errors.AsType[*template.RenderError](err)
	return ok && failed.Kind == template.KindSegment
}

// shortened returns a copy of data with texts of at most the given number of characters; with segments, what is no good
// segment of a path is "-".
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
