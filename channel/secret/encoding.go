package secret

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"html"
	"net/url"
	"strings"
	"unicode/utf16"
)

// patternsOf lists the texts to search for when the given values must not appear: each value as it is, in hexadecimal, in
// UTF-16 and in base64 at each of the three positions it can have within a longer text. Escapes of single characters are
// not listed; the text searched is unescaped instead, which finds every mixture of them.
func patternsOf(values []string) []pattern {
	var list []pattern
	seen := make(map[string]bool)
	add := func(text string, isBase64 bool) {
		if len(text) >= minLength && !seen[text] {
			seen[text] = true
			list = append(list, pattern{text, isBase64})
		}
	}
	for _, v := range expand(values) {
		if len(v) < minLength {
			continue
		}
		add(v, false)
		h := hex.EncodeToString([]byte(v))
		add(h, false)
		add(strings.ToUpper(h), false)
		little, big := wide(v)
		add(little, false)
		add(big, false)
		for offset := range 3 {
			inner := innerBase64(v, offset)
			add(inner, true)
			add(strings.NewReplacer("+", "-", "/", "_").Replace(inner), true)
		}
	}
	return list
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

// expand adds what else has to be hidden of a value: the trimmed form, since header values are sent trimmed; what it stands
// for if it is percent-encoded, and the credential behind the scheme of an Authorization value, since receivers repeat
// those; and the parts of a URL.
func expand(values []string) []string {
	var all []string
	for _, v := range values {
		all = append(all, v)
		t := strings.TrimSpace(v)
		if t != v {
			all = append(all, t)
		}
		if decoded, err := url.PathUnescape(v); err == nil && decoded != v {
			all = append(all, decoded)
		}
		var searched view // a search undoes escapes in the value too, beside those of a text that holds it
		if unescape(&searched, v, false) {
			all = append(all, string(searched.text))
			if len(searched.text) < minLength { // too short to be searched for, so the likeliest forms are added as they are
				all = append(all, html.EscapeString(v), inJSON(v))
			}
		}
		if scheme, credential, ok := strings.Cut(t, " "); ok && strings.Trim(strings.ToLower(scheme), "abcdefghijklmnopqrstuvwxyz0123456789-") == "" {
			all = append(all, strings.TrimSpace(credential))
		}
		all = append(all, URLParts(v)...)
	}
	return all
}

// inJSON is v inside a JSON string.
func inJSON(v string) string {
	quoted, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(quoted[1 : len(quoted)-1])
}

// URLParts lists the parts of an http or https URL that are as secret as the whole when the URL is a credential, such as
// the address of a chat hook: its path with the query, the path, the query, and each path segment and query value. It
// returns nil for anything that is not such a URL. Parts under 8 characters are left out.
func URLParts(raw string) []string {
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
