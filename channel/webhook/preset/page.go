package preset

import (
	"html"
	"strings"

	"github.com/tocsin-go/tocsin/channel/notice"
)

// page is n as a small HTML document that mail programs of all ages can show.
func page(n notice.Notice) string {
	var b strings.Builder
	b.WriteString(`<!DOCTYPE html><html><body style="font-family:sans-serif"><h2>` + text(n.Title) + `</h2><p>` + text(n.Summary) + `</p><table cellpadding="4">`)
	for _, f := range n.Facts {
		b.WriteString(`<tr><th align="left" valign="top">` + text(f.Label) + `</th><td>` + text(f.Value) + `</td></tr>`)
	}
	b.WriteString(`</table>`)
	if n.Link != "" {
		b.WriteString(`<p><a href="` + html.EscapeString(n.Link) + `">` + text(n.LinkText) + `</a></p>`)
	}
	b.WriteString(`</body></html>`)
	return b.String()
}

// text is s as the content of an element.
func text(s string) string {
	return strings.ReplaceAll(html.EscapeString(s), "\n", "<br>")
}
