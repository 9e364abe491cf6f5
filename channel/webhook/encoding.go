package webhook

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	"net/http"
	"strings"
)

// contentCoding returns the Content-Encoding of a body, in lower case; "" when it has none. Several are one that decode
// does not know.
func contentCoding(header http.Header) string {
	var codings []string
	for name := range strings.SplitSeq(strings.Join(header["Content-Encoding"], ","), ",") {
		if name = strings.ToLower(strings.Trim(name, " \t")); name != "" && name != "identity" {
			codings = append(codings, name)
		}
	}
	return strings.Join(codings, ",")
}

// decode returns up to limit bytes of what a body in a Content-Encoding is when it is decoded, so that a small body
// cannot become a large one. whole says of the body, and of the result, that it is all of it. readable is false when
// the encoding is not known or the body is not in it: receivers are asked for none, so those two that every server has
// are enough.
func decode(coding string, body []byte, limit int, whole bool) (decoded []byte, all, readable bool) {
	var r io.Reader
	var err error
	switch coding {
	case "gzip", "x-gzip":
		r, err = gzip.NewReader(bytes.NewReader(body))
	case "deflate": // by RFC 9110 in a zlib frame, which some servers leave out
		if r, err = zlib.NewReader(bytes.NewReader(body)); err != nil {
			r, err = flate.NewReader(bytes.NewReader(body)), nil
		}
	default:
		return nil, false, false
	}
	if err != nil {
		return nil, false, false
	}
	text := bytes.NewBuffer(make([]byte, 0, min(4*len(body), limit+1)+bytes.MinRead))
	_, err = text.ReadFrom(io.LimitReader(r, int64(limit)+1))
	if decoded = text.Bytes(); len(decoded) > limit {
		return decoded[:limit], false, true
	}
	return decoded, whole && err == nil, err == nil || !whole
}
