package template

import "strings"

// htmlState is where in an HTML text the template so far ends, in the words of the tokeniser of the HTML standard.
type htmlState uint8

const (
	htmlText         htmlState = iota
	htmlTagOpen                // after <
	htmlEndTagOpen             // after </
	htmlTagName                //
	htmlBeforeName             // in a tag, before an attribute
	htmlAttrName               //
	htmlAfterName              //
	htmlNameOrNone             // in one branch of a block an attribute's name ended here, in another there was none
	htmlBeforeValue            // after =
	htmlValue                  // in a value in quotes
	htmlUnquoted               // in a value without quotes
	htmlMarkup                 // after <!
	htmlMarkupDash             // after <!-
	htmlCommentStart           // after <!--
	htmlCommentDash            // after <!---
	htmlComment                //
	htmlCondition              // in <!--[if …]>
	htmlBogus                  // in <!…> or <?…>, up to >
	htmlRaw                    // in an element whose content is neither text nor markup, such as script
	htmlTitle                  // in title or textarea: text without markup
)

// holdsTag reports whether text has a start tag in it: < and a name, then a blank, / or >. A link of Slack is none.
func holdsTag(text string) bool {
	for {
		_, after, found := strings.Cut(text, "<")
		if !found {
			return false
		}
		end := 0
		for end < len(after) && (isLetter(after[end]) || end > 0 && isDigit(after[end])) {
			end++
		}
		if end > 0 && end < len(after) && (after[end] == '>' || after[end] == '/' || isHTMLBlank(after[end])) {
			return true
		}
		text = after
	}
}

// htmlPlace is the state of an HTML text, with what decides how a value is written there. The zero place is text.
type htmlPlace struct {
	state       htmlState
	conditional bool   // inside <!--[if …]> … <![endif]-->, which is a comment for all but Outlook
	closing     bool   // the tag is an end tag
	dirty       bool   // title or textarea: it holds what would be markup elsewhere
	quote       byte   // around the value
	dashes      int8   // of a comment's end
	outer       int8   // the same, of the comment that conditional is
	matched     int8   // characters of the end tag of a raw element or title
	opened      int8   // script: characters of <!--
	tag         string // the element
	name        string // the attribute
	url         urlState
	scheme      string
	css         cssState
}

// longestHTMLName is longer than any name with a meaning of its own.
const longestHTMLName = 32

func appendName(name string, b byte) string {
	if len(name) >= longestHTMLName {
		return name
	}
	return name + string(lowerByte(b))
}

func lowerByte(b byte) byte {
	if b >= 'A' && b <= 'Z' {
		return b + 'a' - 'A'
	}
	return b
}

func isLetter(b byte) bool { return lowerByte(b) >= 'a' && lowerByte(b) <= 'z' }

func isHTMLBlank(b byte) bool { return b == ' ' || b == '\t' || b == '\n' || b == '\f' || b == '\r' }

// htmlFault says why a text, or a value, cannot be where it is.
type htmlFault struct {
	offset        int
	message, hint string
}

// advance reads literal text.
func (p *htmlPlace) advance(text string) *htmlFault {
	for i := 0; i < len(text); i++ {
		if message, hint := p.feed(text[i]); message != "" {
			return &htmlFault{i, message, hint}
		}
	}
	return nil
}

// feed reads one byte of literal text.
func (p *htmlPlace) feed(b byte) (message, hint string) {
	if p.conditional && p.endsConditional(b) {
		switch p.state {
		case htmlText, htmlBogus, htmlCommentStart, htmlCommentDash, htmlComment, htmlCondition:
			*p = htmlPlace{}
			return "", ""
		default:
			return "this --> ends the comment of <!--[if …]> inside of a tag", "close the tag first"
		}
	}
	switch p.state {
	case htmlText:
		if b == '<' {
			p.state = htmlTagOpen
		}
	case htmlTagOpen, htmlEndTagOpen, htmlTagName, htmlMarkup, htmlMarkupDash:
		p.feedTag(b)
	case htmlBeforeName, htmlAttrName, htmlAfterName, htmlBeforeValue, htmlUnquoted:
		p.feedAttribute(b)
	case htmlNameOrNone:
		if b != '>' && b != '/' && !isHTMLBlank(b) {
			return "an attribute that is in one branch of a block only goes on here", "write a blank before it"
		}
		p.state = htmlBeforeName
		p.feedAttribute(b)
	case htmlValue:
		if b != p.quote {
			return p.feedValue(b)
		}
		p.leaveValue()
	case htmlCommentStart, htmlCommentDash, htmlComment, htmlCondition, htmlBogus:
		p.feedComment(b)
	case htmlRaw, htmlTitle:
		p.feedRaw(b)
	}
	return "", ""
}

// endsConditional reports whether b is the end of -->.
func (p *htmlPlace) endsConditional(b byte) bool {
	switch {
	case b == '>' && p.outer >= 2:
		return true
	case b == '-':
		p.outer = min(2, p.outer+1)
	default:
		p.outer = 0
	}
	return false
}

func (p *htmlPlace) feedTag(b byte) {
	switch p.state {
	case htmlTagOpen:
		switch {
		case isLetter(b):
			p.state, p.tag = htmlTagName, appendName("", b)
		case b == '/':
			p.state = htmlEndTagOpen
		case b == '!':
			p.state = htmlMarkup
		case b == '?':
			p.state = htmlBogus
		case b != '<':
			p.state = htmlText
		}
	case htmlEndTagOpen:
		switch {
		case isLetter(b):
			p.state, p.closing, p.tag = htmlTagName, true, appendName("", b)
		case b == '>':
			p.state = htmlText
		default:
			p.state = htmlBogus
		}
	case htmlTagName:
		switch {
		case b == '>':
			p.endTag()
		case b == '/' || isHTMLBlank(b):
			p.state = htmlBeforeName
		default:
			p.tag = appendName(p.tag, b)
		}
	case htmlMarkup:
		if p.state = htmlBogus; b == '-' {
			p.state = htmlMarkupDash
		} else if b == '>' {
			p.state = htmlText
		}
	default: // htmlMarkupDash
		if p.state = htmlBogus; b == '-' {
			p.state = htmlCommentStart
		} else if b == '>' {
			p.state = htmlText
		}
	}
}

// endTag reads the > of a tag.
func (p *htmlPlace) endTag() {
	next := htmlPlace{conditional: p.conditional}
	if !p.closing {
		switch p.tag {
		case "script", "style", "xmp", "iframe", "noembed", "noframes", "noscript", "plaintext":
			next.state, next.tag = htmlRaw, p.tag
		case "title", "textarea":
			next.state, next.tag = htmlTitle, p.tag
		}
	}
	*p = next
}

func (p *htmlPlace) feedAttribute(b byte) {
	switch {
	case b == '>':
		p.endTag()
	case p.state == htmlBeforeValue:
		switch {
		case b == '"' || b == '\'':
			p.state, p.quote = htmlValue, b
		case !isHTMLBlank(b):
			p.state = htmlUnquoted
		}
	case isHTMLBlank(b):
		switch p.state {
		case htmlAttrName:
			p.state = htmlAfterName
		case htmlUnquoted:
			p.leaveValue()
		default:
		}
	case p.state == htmlUnquoted:
	case b == '/':
		p.leaveValue()
	case b == '=' && p.state != htmlBeforeName:
		p.state = htmlBeforeValue
	case p.state == htmlAttrName:
		p.name = appendName(p.name, b)
	default:
		p.state, p.name = htmlAttrName, appendName("", b)
	}
}

// leaveValue goes on in the tag, behind an attribute.
func (p *htmlPlace) leaveValue() {
	*p = htmlPlace{state: htmlBeforeName, conditional: p.conditional, closing: p.closing, tag: p.tag}
}

func (p *htmlPlace) feedComment(b byte) {
	switch p.state {
	case htmlBogus:
		if b == '>' {
			*p = htmlPlace{conditional: p.conditional}
		}
		return
	case htmlCommentStart, htmlCommentDash:
		switch {
		case b == '>':
			*p = htmlPlace{conditional: p.conditional}
		case b == '-' && p.state == htmlCommentStart:
			p.state = htmlCommentDash
		case b == '-':
			p.state, p.dashes = htmlComment, 2
		case b == '[' && p.state == htmlCommentStart:
			p.state, p.name = htmlCondition, "["
		default:
			p.state, p.dashes = htmlComment, 0
		}
		return
	case htmlCondition:
		if b == '>' && strings.HasPrefix(p.name, "[if") && p.quote == ']' {
			*p = htmlPlace{conditional: true}
			return
		}
		p.name, p.quote = appendName(p.name, b), b // quote is the byte before
	default:
	}
	switch {
	case b == '>' && p.dashes >= 2:
		*p = htmlPlace{conditional: p.conditional}
	case b == '-' && p.dashes < 3:
		p.dashes = min(2, p.dashes+1)
	case b == '-':
		p.dashes = 1
	case b == '!' && p.dashes == 2:
		p.dashes = 3
	default:
		p.dashes = 0
	}
}

// feedRaw looks for the end tag of an element that holds no markup.
func (p *htmlPlace) feedRaw(b byte) {
	end := "</" + p.tag
	isEnd := b == '>' || b == '/' || isHTMLBlank(b)
	switch {
	case int(p.matched) == len(end) && isEnd && p.tag != "plaintext":
		*p = htmlPlace{state: htmlBeforeName, conditional: p.conditional, closing: true, tag: p.tag}
		p.feedAttribute(b)
		return
	case int(p.matched) < len(end) && lowerByte(b) == end[p.matched]:
		p.matched++
	default:
		if p.matched > 0 && (p.matched > 1 || isLetter(b) || b == '!' || b == '?') {
			p.dirty = true
		}
		if p.matched = 0; b == '<' {
			p.matched = 1
		}
	}
	// In a script, <!-- makes that a <script> in it hides the end tag. No value stands in a script: it is never left.
	if p.tag == "script" {
		switch {
		case p.opened < 4 && b == "<!--"[p.opened]:
			p.opened++
		case p.opened < 4:
			if p.opened = 0; b == '<' {
				p.opened = 1
			}
		}
		if p.opened == 4 {
			p.matched = 0
		}
	}
}

// same reports whether a loop whose body begins at p may end at o: every iteration is then in the places that were
// checked.
func (p *htmlPlace) same(o htmlPlace) bool {
	a := *p
	a.outer, o.outer = 0, 0
	return a == o
}

// join merges the ends of two branches; it reports false when they are in different places.
func (p *htmlPlace) join(o htmlPlace) bool {
	a, b := *p, o
	a.outer, b.outer = 0, 0
	if a == b {
		p.outer = 0
		return true
	}
	inTag := func(s htmlState) bool { return s >= htmlBeforeName && s <= htmlNameOrNone }
	switch {
	case a.conditional != b.conditional, a.tag != b.tag, a.closing != b.closing:
		return false
	case inTag(a.state) && inTag(b.state):
		*p = htmlPlace{state: htmlNameOrNone, conditional: a.conditional, closing: a.closing, tag: a.tag}
		return true
	case a.state == htmlTitle && b.state == htmlTitle, a.state == htmlRaw && b.state == htmlRaw:
		// Whatever follows, the end tag must be whole.
		p.matched, p.dirty, p.opened = 0, true, max(a.opened, b.opened)
		return true
	case a.state != htmlValue || b.state != htmlValue,
		a.name != b.name || a.quote != b.quote || a.css.quote != b.css.quote:
		return false
	}
	p.url = joinURLs(a.url, b.url)
	if a.scheme != b.scheme {
		p.scheme = ""
	}
	p.css.colon, p.css.depth = a.css.colon && b.css.colon, max(a.css.depth, b.css.depth)
	return true
}

// where names the place, for messages about branches that end in different ones.
func (p *htmlPlace) where() string {
	switch p.state {
	case htmlText:
		return "in text"
	case htmlRaw, htmlTitle:
		return "inside <" + p.tag + ">"
	case htmlValue, htmlUnquoted, htmlBeforeValue:
		return "in the value of an attribute"
	case htmlTagOpen, htmlEndTagOpen, htmlTagName, htmlBeforeName, htmlAttrName, htmlAfterName, htmlNameOrNone:
		return "inside a tag"
	default:
		return "in a comment"
	}
}
