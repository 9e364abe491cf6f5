package template

import "strconv"

// Mode says what kind of text a template makes, and so how values are escaped. The zero Mode is JSON.
type Mode uint8

const (
	// JSON makes a JSON document. Inside a string literal of the template a value is escaped as string content,
	// elsewhere it is written as a complete JSON value.
	JSON Mode = iota
	// HTML makes HTML text: a value is escaped for the place it stands in, and does not compile where it could leave
	// it.
	HTML
	// Text makes plain text: values are written unchanged.
	Text
	// Header makes one line, such as a mail subject or an HTTP header value: control characters and line separators
	// become a space, in values and in the template's own text.
	Header
	// URL makes a URL, or a part of one that begins with a slash or a question mark. Everything in a value but
	// letters, digits and - . _ ~ is percent-encoded.
	URL
	// Slack makes Slack mrkdwn: & < > of values become entities.
	Slack
)

// String returns the mode's name in lower case.
func (m Mode) String() string {
	names := [...]string{"json", "html", "text", "header", "url", "slack"}
	if int(m) < len(names) {
		return names[m]
	}
	return "mode " + strconv.Itoa(int(m))
}

// Syntax is the language of the template's source. The zero Syntax is Handlebars.
type Syntax uint8

const (
	// Handlebars is {{path}}, {{#each}} and so on, see the package documentation.
	Handlebars Syntax = iota
	// Macros is %%Name%%: plain replacement, no blocks, no helpers.
	Macros
)

// String returns the syntax's name in lower case.
func (s Syntax) String() string {
	switch s {
	case Handlebars:
		return "handlebars"
	case Macros:
		return "macros"
	}
	return "syntax " + strconv.Itoa(int(s))
}
