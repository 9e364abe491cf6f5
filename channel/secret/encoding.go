package secret

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"html"
	"net/url"
	"slices"
	"strings"
	"unicode/utf16"
)

// patternsOf lists the texts to search for when the given values must not appear: each value as it is, and opaque forms
// of it and of what usual encoders make of it. Escapes of single characters are not listed; the text searched is
// unescaped instead, which finds every mixture of them.
func patternsOf(values []string) []pattern {
	var list []pattern
	seen := make(map[string]bool)
	add := func(text string, isBase64 bool) {
		text = strings.ReplaceAll(text, "+", " ") // as fold does
		if len(text) >= minLength && !seen[text] {
			seen[text] = true
			list = append(list, pattern{text, isBase64})
		}
	}
	for _, value := range values {
		plain := urlParts(value) != nil // nobody makes text of an address before encoding it
		for _, v := range expand(value) {
			if len(v) < minLength {
				continue
			}
			add(v, false)
			for _, form := range usualForms(v, plain) {
				h := hex.EncodeToString([]byte(form))
				add(h, false)
				add(strings.ToUpper(h), false)
				little, big := wide(form)
				add(little, false)
				add(big, false)
				for offset := range 3 {
					inner := innerBase64(form, offset)
					add(inner, true)
					add(strings.NewReplacer("+", "-", "/", "_").Replace(inner), true)
				}
			}
		}
	}
	return list
}

// usualForms lists v and, unless plain, what usual encoders make of it.
func usualForms(v string, plain bool) []string {
	forms := []string{v}
	if plain {
		return forms
	}
	for _, form := range [...]string{inJSON(v, true), inJSON(v, false), url.QueryEscape(v), url.PathEscape(v), html.EscapeString(v)} {
		if !slices.Contains(forms, form) {
			forms = append(forms, form)
		}
	}
	return forms
}

// wide returns v in UTF-16, in either order of bytes.
func wide(v string) (little, big string) {
	var l, b []byte
	for _, unit := range utf16.Encode([]rune(v)) {
		l = binary.LittleEndian.AppendUint16(l, unit)
		b = binary.BigEndian.AppendUint16(b, unit)
	}
	return string(l), string(b)
}

// innerBase64 is the part of the base64 form of "offset other bytes, v, anything" that depends on v alone.
func innerBase64(v string, offset int) string {
	text := base64.RawStdEncoding.EncodeToString([]byte("\x00\x00"[:offset] + v))
	if (offset+len(v))%3 != 0 {
		text = text[:len(text)-1] // the last character also holds bits of what follows
	}
	return text[[3]int{0, 2, 3}[offset]:]
}

// expand adds what else has to be hidden of a value: the trimmed form, since header values are sent trimmed; what it
// stands for if it is percent-encoded, and the credential behind the scheme of an Authorization value, since receivers
// repeat those; and the parts of a URL.
func expand(v string) []string {
	all := []string{v}
	t := strings.TrimSpace(v)
	if t != v {
		all = append(all, t)
	}
	if decoded, err := url.PathUnescape(v); err == nil && decoded != v {
		all = append(all, decoded)
	}
	// A search undoes escapes in the value too, beside those of a text that holds it.
	for text, n := v, 0; n < maxLayers; n++ {
		var searched view
		if !unescape(&searched, text, anyEscapes) {
			break
		}
		text = string(searched.text)
		all = append(all, text)
		if len(text) < minLength { // too short to be searched for, so the likeliest forms are added as they are
			all = append(all, html.EscapeString(v), inJSON(v, true))
			break
		}
	}
	if scheme, credential, ok := strings.Cut(t, " "); ok && strings.Trim(strings.ToLower(scheme), "abcdefghijklmnopqrstuvwxyz0123456789-") == "" {
		all = append(all, strings.TrimSpace(credential))
	}
	return append(all, urlParts(v)...)
}

// inJSON is v inside a JSON string, with or without what would be special in HTML escaped.
func inJSON(v string, escapeHTML bool) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(escapeHTML)
	if err := e.Encode(v); err != nil {
		return ""
	}
	return strings.TrimSuffix(strings.TrimPrefix(b.String(), `"`), "\"\n")
}

// urlParts lists the parts of an http or https URL that are as secret as the whole when the URL is a credential, such
// as the address of a chat hook: its path with the query, the path, the query, and each path segment and query value.
// It returns nil for anything that is not such a URL. Parts under 8 characters are left out.
func urlParts(raw string) []string {
	if !strings.HasPrefix(raw, "https://") && !strings.HasPrefix(raw, "http://") {
		return nil
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil
	}
	var parts []string
	add := func(text string) {
		if len(text) >= minLength {
			parts = append(parts, text)
		}
	}
	add(u.RequestURI())
	add(u.Path)
	add(u.RawQuery)
	for segment := range strings.SplitSeq(u.Path, "/") {
		add(segment)
	}
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		_, text, _ := strings.Cut(pair, "=")
		if text, err = url.QueryUnescape(text); err == nil {
			add(text)
		}
	}
	if u.User != nil {
		password, _ := u.User.Password()
		add(password)
	}
	return parts
}
