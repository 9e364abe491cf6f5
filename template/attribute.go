package template

import (
	"strings"
)

// feedValue reads a byte of an attribute's value in quotes.
func (p *htmlPlace) feedValue(b byte) (message, hint string) {
	switch p.attribute() {
	case attrURL:
		return p.feedURL(b)
	case attrStyle:
		p.css.feed(b)
	default:
	}
	return "", ""
}

// htmlAttribute is a kind of attributes, by what their values are.
type htmlAttribute uint8

const (
	attrPlain   htmlAttribute = iota
	attrURL                   // a URL
	attrStyle                 // CSS declarations
	attrRefused               // a language of its own
)

// attribute returns the kind of the current attribute.
func (p *htmlPlace) attribute() htmlAttribute {
	local := p.name[strings.LastIndexByte(p.name, ':')+1:] // xlink:href
	switch {
	case strings.HasPrefix(local, "on") || strings.HasPrefix(p.name, "on"), strings.HasPrefix(p.name, "xmlns"):
		return attrRefused
	case p.tag == "meta" && local == "content":
		return attrRefused // of http-equiv="refresh" it is a URL
	}
	switch p.tag {
	case "script", "set", "animate", "animatetransform", "animatemotion", "animatecolor", "param":
		return attrRefused
	}
	if p.name == "xml:base" {
		return attrRefused // changes what every relative URL inside means
	}
	switch local {
	case "style":
		return attrStyle
	case "href", "src", "action", "formaction", "cite", "background", "poster", "data", "longdesc",
		"manifest", "usemap", "icon", "codebase", "classid", "profile", "lowsrc", "dynsrc", "code", "datasrc":
		return attrURL
	case "srcdoc", "srcset", "imagesrcset", "http-equiv", "attributename", "ping", "archive":
		return attrRefused
	}
	return attrPlain
}

func noValue(message, hint string) (output, *htmlFault) { return outHTML, &htmlFault{0, message, hint} }

// value says how a value is written at this place, or why there can be none.
func (p *htmlPlace) value() (output, *htmlFault) {
	p.outer = 0
	switch p.state {
	case htmlText:
	case htmlTagOpen, htmlEndTagOpen, htmlTagName:
		return noValue("a value would be the name of a tag", "write the name out; for the character < itself write &lt;")
	case htmlBeforeName, htmlAttrName, htmlAfterName, htmlNameOrNone:
		return noValue("a value would be the name of an attribute", `write name="{{value}}"`)
	case htmlBeforeValue, htmlUnquoted:
		return noValue("a value of the attribute "+p.name+" stands without quotes", "write "+p.name+`="{{value}}"`)
	case htmlRaw:
		return noValue("a value would be part of the content of <"+p.tag+">",
			"put it into an element or an attribute outside of it")
	case htmlTitle:
		if p.dirty || p.matched > 0 {
			return noValue("<"+p.tag+"> holds what looks like a tag, and a value behind it",
				"write &lt; for the character <")
		}
	case htmlValue:
		return p.valueOfAttribute()
	default:
		return noValue("a value would be part of a comment or declaration", "leave the comment out, or the value")
	}
	return outHTML, nil
}

func (p *htmlPlace) valueOfAttribute() (output, *htmlFault) {
	switch p.attribute() {
	case attrPlain:
		return outHTML, nil
	case attrURL:
		return p.valueOfURL()
	case attrStyle:
		if !p.css.colon || p.css.depth > 0 {
			return noValue("a value in a style stands before the colon of a declaration, or in parentheses",
				"a value can be all that is behind a colon, as in color: {{value}}")
		}
		return outCSS, nil
	default:
		return noValue("the attribute "+p.name+" of <"+p.tag+"> is code, or another language, and cannot have a value",
			"write it out")
	}
}

// cssState is where in the declarations of a style attribute the template so far ends.
type cssState struct {
	colon bool // behind the colon of a declaration
	depth int8 // open parentheses
	quote byte // in a string with this quote
}

func (c *cssState) feed(b byte) {
	switch {
	case c.quote != 0:
		if b == c.quote {
			c.quote = 0
		}
	case b == '"' || b == '\'':
		c.quote = b
	case b == ':':
		c.colon = true
	case b == ';' || b == '{' || b == '}':
		c.colon = false
	case b == '(' && c.depth < 100:
		c.depth++
	case b == ')' && c.depth > 0:
		c.depth--
	}
}

// appendCSS keeps of a value in a style what words, numbers, colours and lists are written with; none of it ends a
// declaration or calls a function.
func appendCSS(dst []byte, s string) []byte {
	for _, r := range strings.ToValidUTF8(s, "") {
		if r >= 0xA0 || r < 0x80 && isAlphanumeric(byte(r)) || strings.ContainsRune(" #%.,-+_", r) {
			dst = append(dst, string(r)...)
		}
	}
	return dst
}
