package template

import (
	"sort"
	"strings"
	"unicode/utf8"
)

// rewritten is a source in the words raymond's lexer understands, with the way back to the original offsets.
//
// raymond's lexer differs from handlebars.js in a few places: only space, tab and line feed are blank inside a
// mustache, 1abc and -x are broken numbers, list.0.name is a number, {{elsewhere}} is an else, and comments cost the
// square of their blanks. Rewriting these keeps its parser and gives the meaning of handlebars.js.
type rewritten struct {
	text  string
	marks []offsetMark
}

// offsetMark says that from offset text on, the text is the source from offset source on.
type offsetMark struct{ text, source int }

// sourceOffset gives the source offset of a text offset.
func (r *rewritten) sourceOffset(offset int) int {
	i := sort.Search(len(r.marks), func(i int) bool { return r.marks[i].text > offset })
	if i == 0 {
		return offset
	}
	m := r.marks[i-1]
	return m.source + offset - m.text
}

type rewriter struct {
	src    string
	pos    int
	out    strings.Builder
	marks  []offsetMark
	blanks int
	err    *SyntaxError
}

// rewrite returns an error whose Position holds the offset only.
func rewrite(src string, commentBlanks int) (*rewritten, *SyntaxError) {
	w := &rewriter{src: src, blanks: commentBlanks}
	w.out.Grow(len(src) + 16)
	for w.err == nil && w.pos < len(src) {
		w.content()
	}
	if w.err != nil {
		return nil, w.err
	}
	return &rewritten{text: w.out.String(), marks: w.marks}, nil
}

func (w *rewriter) fail(kind Kind, offset int, message, hint string) {
	w.err = &SyntaxError{Position: Position{Offset: offset}, Kind: kind, Message: message, Hint: hint}
}

func (w *rewriter) copyTo(end int) {
	w.out.WriteString(w.src[w.pos:end])
	w.pos = end
}

func (w *rewriter) replaceTo(end int, with string) {
	w.marks = append(w.marks, offsetMark{w.out.Len(), w.pos})
	w.out.WriteString(with)
	w.pos = end
	w.marks = append(w.marks, offsetMark{w.out.Len(), w.pos})
}

// content copies text up to and including the next mustache.
func (w *rewriter) content() {
	start := w.pos
	i := strings.Index(w.src[start:], "{{")
	if i < 0 {
		w.copyTo(len(w.src))
		return
	}
	i += start
	escaped := i > start && w.src[i-1] == '\\'
	if escaped && (i-1 == start || w.src[i-2] != '\\') {
		for i < len(w.src) && w.src[i] == '{' {
			i++
		}
		w.copyTo(i)
		return
	}
	w.copyTo(i)
	w.mustache()
}

func (w *rewriter) mustache() {
	open := w.pos
	rest := w.src[open:]
	if strings.HasPrefix(rest, "{{{{") {
		w.fail(KindUnsupported, open, "raw blocks {{{{ }}}} are not supported", "if the first { belongs to JSON, put a space after it")
		return
	}
	sigil := open + 2
	if strings.HasPrefix(w.src[sigil:], "~") {
		sigil++
	}
	next := w.src[sigil:]
	switch {
	case strings.HasPrefix(next, "!"):
		w.comment(open, sigil)
		return
	case strings.HasPrefix(next, ">"), strings.HasPrefix(next, "#>"):
		w.fail(KindUnsupported, open, "partials {{> name}} are not supported", "write the text out here")
		return
	case strings.HasPrefix(next, "*"), strings.HasPrefix(next, "#*"):
		w.fail(KindUnsupported, open, "decorators {{* name}} are not supported", "")
		return
	}
	plain := true
	if next != "" && strings.IndexByte("{#/^&", next[0]) >= 0 {
		sigil++
		plain = false
	}
	w.copyTo(sigil)
	for first := true; w.err == nil; {
		if w.pos >= len(w.src) {
			w.fail(KindSyntax, open, "this {{ is never closed", "close it with }}")
			return
		}
		if n := closing(w.src[w.pos:]); n > 0 {
			w.copyTo(w.pos + n)
			return
		}
		if w.src[w.pos] == '}' {
			w.fail(KindSyntax, w.pos, "one } does not close this {{", "close it with }}")
			return
		}
		first = w.expression(plain && first) && first
	}
}

// closing returns the length of the closing braces at the beginning of s, 0 when there are none. The order is
// raymond's.
func closing(s string) int {
	for _, c := range [...]string{"}}}}", "}}}", "}~}}", "}}", "~}}"} {
		if strings.HasPrefix(s, c) {
			return len(c)
		}
	}
	return 0
}

// comment is shortened to its braces, which keeps its whitespace control.
func (w *rewriter) comment(open, bang int) {
	end := -1
	if strings.HasPrefix(w.src[bang:], "!--") {
		for i := bang + 1; end < 0; {
			j := strings.Index(w.src[i:], "--")
			if j < 0 {
				break
			}
			i += j
			tail := strings.TrimPrefix(w.src[i+2:], "~")
			if strings.HasPrefix(tail, "}}") {
				end = len(w.src) - len(tail) + 2
			}
			i++
		}
	} else if i := strings.Index(w.src[bang+1:], "}}"); i >= 0 {
		end = bang + 1 + i + 2
	}
	if end < 0 {
		w.fail(KindSyntax, open, "this comment is never closed", "{{! is closed by }}, {{!-- by --}}")
		return
	}
	run := 0
	for i, r := range w.src[bang:end] {
		if !isBlank(r) {
			run = 0
			continue
		}
		if run++; run > w.blanks {
			w.fail(KindLimit, bang+i, "too many blanks in a row in this comment", "shorten the comment")
			return
		}
	}
	short := "{{"
	if bang > open+2 {
		short += "~"
	}
	short += "!"
	if w.src[end-3] == '~' && end-3 > bang {
		short += "~"
	}
	w.replaceTo(end, short+"}}")
}

// expression copies one token inside a mustache; it reports whether the token was blank.
func (w *rewriter) expression(afterOpen bool) bool {
	rest := w.src[w.pos:]
	r, size := utf8.DecodeRuneInString(rest)
	switch {
	case r == ' ' || r == '\t' || r == '\n':
		w.copyTo(w.pos + size)
		return true
	case isBlank(r):
		w.replaceTo(w.pos+size, " ")
		return true
	case r == '"' || r == '\'':
		w.quoted(byte(r))
	case r == '[':
		end := strings.IndexAny(rest, "]\n")
		if end < 0 || rest[end] == '\n' {
			w.fail(KindSyntax, w.pos, "this [ is never closed", "close it with ] on the same line")
			return false
		}
		w.copyTo(w.pos + end + 1)
	case isNameRune(r):
		w.word(afterOpen)
	default:
		w.copyTo(w.pos + size)
	}
	return false
}

func (w *rewriter) quoted(quote byte) {
	for i := w.pos + 1; i < len(w.src) && w.src[i] != '\n'; i++ {
		if w.src[i] == quote && w.src[i-1] != '\\' {
			w.copyTo(i + 1)
			return
		}
	}
	if before, _ := utf8.DecodeLastRuneInString(w.src[:w.pos]); isNameRune(before) || before == ']' {
		w.fail(KindSyntax, w.pos, "a quote stands where the {{ before it must be closed", "close it with }}")
		return
	}
	w.fail(KindSyntax, w.pos, "this text in quotes is never closed", "close it with the same quote on the same line")
}

func (w *rewriter) word(afterOpen bool) {
	end := w.pos
	for end < len(w.src) {
		r, size := utf8.DecodeRuneInString(w.src[end:])
		if !isNameRune(r) {
			break
		}
		end += size
	}
	name := w.src[w.pos:end]
	if c := name[0]; c == '-' || isDigit(c) {
		if n := numberLength(w.src[w.pos:]); n > 0 {
			w.copyTo(w.pos + n)
			return
		}
		w.replaceTo(end, "["+name+"]")
		return
	}
	if afterOpen && strings.HasPrefix(name, "else") && name != "else" {
		w.replaceTo(end, "["+name+"]")
		return
	}
	w.copyTo(end)
}

// numberLength returns the length of the handlebars.js number at the beginning of s, 0 when there is none.
func numberLength(s string) int {
	i := 0
	if strings.HasPrefix(s, "-") {
		i++
	}
	digits := func() bool {
		start := i
		for i < len(s) && isDigit(s[i]) {
			i++
		}
		return i > start
	}
	if !digits() {
		return 0
	}
	if whole := i; strings.HasPrefix(s[i:], ".") {
		i++
		if !digits() {
			i = whole
		}
	}
	r, _ := utf8.DecodeRuneInString(s[i:])
	if i < len(s) && (isBlank(r) || r == '~' || r == '}' || r == ')') {
		return i
	}
	return 0
}

// isNameRune reports whether r can be part of an unquoted name.
func isNameRune(r rune) bool {
	return !isBlank(r) && !strings.ContainsRune("!\"#%&'()*+,./;<=>@[\\]^`{|}~", r)
}

// isIdentifier reports whether s can be written as a name without brackets.
func isIdentifier(s string) bool {
	for _, r := range s {
		if !isNameRune(r) {
			return false
		}
	}
	switch s {
	case "", "this", "else", "as", "true", "false", "null", "undefined":
		return false
	}
	return s[0] != '-' && !isDigit(s[0])
}

// isBlank reports whether r is white space for handlebars.js: the \s of ECMAScript.
func isBlank(r rune) bool {
	switch r {
	case ' ', '\t', '\n', '\v', '\f', '\r', 0xA0, 0x1680, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000, 0xFEFF:
		return true
	}
	return r >= 0x2000 && r <= 0x200A
}
