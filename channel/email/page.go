package email

import (
	"strings"
	"sync"

	"github.com/tocsin-go/tocsin/channel/notice"
	"github.com/tocsin-go/tocsin/template"
)

// pageSource is the HTML form of a mail whose Config has no template for it. Mail programs know tables, attributes and
// inline styles; Outlook shows HTML as Word does, which has no rounded corners, no margin around a link and no maximum
// width, so that the button is a table cell and the width an attribute as well. Widths of labels are relative: on a
// phone, addresses and times need what is left. An address in a justification must not make the page wider than that.
const pageSource = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{title}}</title>
</head>
<body style="margin:0;padding:0;background-color:#f3f4f6;">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" bgcolor="#f3f4f6">
<tr><td align="center" style="padding:24px 12px;">
<table role="presentation" width="600" cellpadding="0" cellspacing="0" border="0" bgcolor="#ffffff" style="width:100%;max-width:600px;border-top:4px solid {{colour}};font-family:Arial,Helvetica,sans-serif;color:#1f2937;">
<tr><td style="padding:24px 24px 0 24px;word-break:break-word;">
{{#if status}}<span style="color:{{colour}};font-size:13px;font-weight:bold;">{{status}}</span><br>
{{/if}}<span style="font-size:20px;line-height:28px;font-weight:bold;">{{title}}</span>
</td></tr>
<tr><td style="padding:12px 24px 0 24px;font-size:15px;line-height:22px;word-break:break-word;">{{summary}}</td></tr>
<tr><td style="padding:16px 24px 0 24px;">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" style="font-size:14px;line-height:20px;">
{{#each facts}}
{{#if long}}
<tr><td colspan="2" style="padding:6px 0;border-top:1px solid #e5e7eb;word-break:break-word;"><span style="color:#6b7280;">{{label}}</span><br>{{#each lines}}{{#unless @first}}<br>{{/unless}}{{this}}{{/each}}</td></tr>
{{else}}
<tr><td width="30%" valign="top" style="padding:6px 12px 6px 0;border-top:1px solid #e5e7eb;color:#6b7280;">{{label}}</td><td valign="top" style="padding:6px 0;border-top:1px solid #e5e7eb;word-break:break-word;">{{#each lines}}{{this}}{{/each}}</td></tr>
{{/if}}
{{/each}}
</table>
</td></tr>
{{#if link}}
<tr><td style="padding:20px 24px 0 24px;">
<table role="presentation" cellpadding="0" cellspacing="0" border="0"><tr><td align="center" bgcolor="{{colour}}" style="padding:12px 20px;">
<a href="{{link}}" style="color:#ffffff;font-size:15px;font-weight:bold;text-decoration:none;">{{link_text}}</a>
</td></tr></table>
</td></tr>
{{/if}}
<tr><td style="font-size:1px;line-height:24px;">&nbsp;</td></tr>
</table>
</td></tr>
</table>
</body>
</html>
`

// defaultPage compiles pageSource, once for all channels.
var defaultPage = sync.OnceValues(func() (*template.Template, error) { //nolint:gochecknoglobals // read-only, and made when needed
	return template.Compile(pageSource, template.Options{Mode: template.HTML})
})

// pageData is what pageSource shows of n.
func pageData(n notice.Notice) map[string]any {
	facts := make([]any, 0, len(n.Facts))
	for _, f := range n.Facts {
		var lines []any
		for line := range strings.SplitSeq(f.Value, "\n") {
			lines = append(lines, line)
		}
		facts = append(facts, map[string]any{"label": f.Label, "lines": lines, "long": f.Long})
	}
	return map[string]any{
		"title": n.Title, "summary": n.Summary, "status": n.Status, "colour": colour(n.Severity),
		"facts": facts, "link": n.Link, "link_text": n.LinkText,
	}
}

// colour shows the severity. On each, white text can be read (WCAG 2 asks for a contrast of 4.5).
func colour(s notice.Severity) string {
	switch s {
	case notice.Critical:
		return "#9b1c1c"
	case notice.Error:
		return "#c2410c"
	case notice.Warning:
		return "#92600a"
	default:
		return "#1d4ed8"
	}
}
