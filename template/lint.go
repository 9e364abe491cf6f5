package template

import (
	"errors"
	"strings"
)

// Lint compares the paths of a template with an example of its data, anything that Normalise accepts, and reports those
// that lead nowhere or are used as what they are not. Where the example has null or an empty list it says nothing. Its
// work is proportional to the template and the example. It also reports a value in a JSON string that holds HTML,
// unless it is escaped for it. It lists the first 100 findings, and says that there are more.
func (t *Template) Lint(example any) []Finding {
	tree, err := Normalise(example)
	if err != nil {
		return []Finding{badExample(err)}
	}
	l := &linter{places: cursor{lines: t.lines}, root: (*shape)(nil).add(tree), suggester: newSuggester()}
	t.walk(l.root, l.visit)
	return l.findings
}

// maxFindings is the number of findings that a person can be expected to read.
const maxFindings = 100

type linter struct {
	places    cursor
	root      *shape
	suggester *suggester
	findings  []Finding
	markup    *instruction // the last one that was reported as not escaped for HTML
}

func (l *linter) report(kind Kind, o *operand, message, hint string) {
	if len(l.findings) == maxFindings {
		kind, message, hint = KindLimit, "there are more findings from here on", "correct those before it first"
	}
	l.findings = append(l.findings, Finding{
		Position: l.places.at(o.pos), Kind: kind, Path: o.quoted(), Message: message, Hint: hint,
	})
}

func (l *linter) visit(u use) {
	if len(l.findings) > maxFindings {
		return
	}
	if u.arg.isLoopVariable() {
		l.reportVariable(u)
		return
	}
	l.reportUnescaped(u)
	from, ok := start(u.arg, u.scopes)
	if !ok {
		l.report(KindScope, u.arg, u.arg.quoted()+" goes above the root", "@root is the outermost context")
		return
	}
	if u.stop < len(u.arg.names) {
		l.reportUnknown(u, from)
		return
	}
	if !u.printed || u.shape == nil {
		return
	}
	if u.in.op == opEach && u.shape.onlyScalar() {
		l.report(KindValue, u.arg, u.arg.quoted()+" is one value, not a list", "use {{#if "+u.arg.quoted()+"}}, or {{"+u.arg.quoted()+"}}")
	}
	if u.in.op == opValue {
		l.reportPrinted(u)
	}
}

// reportUnescaped reports a value in a JSON string that holds HTML: whoever wrote the value wrote HTML.
func (l *linter) reportUnescaped(u use) {
	if !u.in.markup || u.in == l.markup || u.printed && u.shape.onlyScalar() && !u.shape.text {
		return
	}
	l.markup = u.in
	hint := "write {{html " + u.arg.quoted() + "}}"
	if !u.printed {
		hint = "put the helper html around it"
	} else if strings.HasPrefix(u.arg.written, "%%") {
		hint = "let the macro stand for: html " + excerpt(u.at.String())
	}
	l.report(KindMarkup, u.arg, u.arg.quoted()+" stands in HTML inside a JSON string and is not escaped for it", hint)
}

// reportVariable reports @index and the like outside every loop.
func (l *linter) reportVariable(u use) {
	for _, p := range u.scopes {
		if p.loop || p.plain && p.shape == nil {
			return
		}
	}
	l.report(KindScope, u.arg, u.arg.quoted()+" has a value inside {{#each}} only", "")
}

// reportPrinted looks at what is written as text; as a JSON value everything may be written.
func (l *linter) reportPrinted(u use) {
	if u.in.out == outJSONValue {
		return
	}
	if u.shape.onlyObject() {
		hint := "name one of its fields"
		if fields := sortedKeys(u.shape.fields); len(fields) > 0 {
			hint += ", for example " + u.arg.quoted() + "." + fields[0]
		}
		l.report(KindPrint, u.arg, u.arg.quoted()+" is an object and will be printed as JSON", hint)
	}
	if u.shape.onlyList() && u.shape.elem.onlyObject() {
		l.report(KindList, u.arg, u.arg.quoted()+" is a list of objects", "it is a list: use {{#each "+u.arg.quoted()+"}}")
	}
}

// reportUnknown reports a path at the name that leads nowhere.
func (l *linter) reportUnknown(u use, from staticScope) {
	names := u.arg.names
	at, known := from.shape, make([]string, u.stop)
	for i := range names[:u.stop] {
		at, _ = at.member(&names[i])
		known[i] = names[i].name
	}
	name, prefix := excerpt(names[u.stop].name), excerpt(strings.Join(known, "."))
	if u.arg.depth > 0 && u.arg.base == baseThis {
		prefix = strings.Repeat("../", u.arg.depth) + prefix
	}
	if prefix == "" {
		prefix = "this"
	}
	switch {
	case at.onlyList():
		l.report(KindList, u.arg, prefix+" has no field "+name, "it is a list: use {{#each "+prefix+"}}")
		return
	case at.onlyScalar():
		l.report(KindValue, u.arg, prefix+" is one value and has no field "+name, "")
		return
	}
	hint := ""
	if at.fields != nil {
		if s := l.suggester.closest(name, sortedKeys(at.fields)); s != "" {
			hint = "did you mean " + s + "?"
		}
	}
	if s := l.findElsewhere(u); s != "" && (hint == "" || u.stop == 0) {
		hint = "did you mean " + s + "?"
	}
	l.report(KindPath, u.arg, "the example has nothing at "+u.arg.quoted(), hint)
}

// findElsewhere looks for the whole path in the contexts around, at the root, and in the objects one below the root:
// Handlebars does not search there by itself.
func (l *linter) findElsewhere(u use) string {
	if u.stop > 0 {
		return ""
	}
	written := strings.TrimPrefix(strings.TrimPrefix(u.arg.quoted(), "this."), "./")
	if len(u.scopes) > 1 && l.root.holds(u.arg.names) {
		return "@root." + written
	}
	for n, up := 1, ""; ; n++ {
		up += "../"
		p, ok := start(&operand{base: baseThis, depth: n}, u.scopes)
		if !ok {
			break
		}
		if p.shape.holds(u.arg.names) {
			return up + written
		}
	}
	if l.root == nil {
		return ""
	}
	for _, k := range sortedKeys(l.root.fields) {
		if l.root.fields[k].holds(u.arg.names) {
			if len(u.scopes) > 1 {
				k = "@root." + k
			}
			return k + "." + written
		}
	}
	return ""
}

func (s *shape) holds(names []segment) bool {
	if s == nil || s.fields == nil {
		return false
	}
	for i := range names {
		next, ok := s.member(&names[i])
		if !ok {
			return false
		}
		s = next
	}
	return true
}

// Finding is something in a template that is allowed but probably not meant, or that fails with some data.
type Finding struct {
	Position        // where in the template
	Kind     Kind   // see the Kinds of Finding; a trial's findings have the kinds of the errors
	Path     string // the path as written, when the finding is about one
	Message  string // what was found
	Hint     string // what to do; may be empty
}

// String returns the finding in one line, as errors are worded.
func (f Finding) String() string { return errorText("template", f.Position, f.Message, f.Hint) }

// badExample reports an example that is no data.
func badExample(err error) Finding {
	f := Finding{Position: Position{Line: 1, Column: 1}, Kind: KindData, Message: "the example cannot be used"}
	var data *DataError
	if errors.As(err, &data) {
		f.Message += ": " + data.Reason
	}
	return f
}

// suggester looks for the name that a misspelling means. Its work is bounded: a template of nothing but misspellings,
// over an example of many fields, gets suggestions for the first of them.
type suggester struct{ cells int }

// suggestionCells bounds the cells of edit distances that one suggester fills: some 10,000 comparisons of ordinary
// names.
const suggestionCells = 1 << 20

func newSuggester() *suggester { return &suggester{cells: suggestionCells} }

// closest returns the candidate that name is most likely a misspelling of, or "".
func (s *suggester) closest(name string, candidates []string) string {
	if len(name) > 64 {
		return ""
	}
	plain := withoutSeparators(name)
	best, found := 1+max(1, len(name)/3), ""
	for _, c := range candidates {
		if c == name || len(c) > 64 {
			continue
		}
		if s.cells -= len(name) + len(c); s.cells < 0 {
			break
		}
		d := max(len(name)-len(c), len(c)-len(name))
		switch {
		case plain == withoutSeparators(c):
			d = 0
		case d < best:
			s.cells -= len(name) * len(c)
			d = editDistance(strings.ToLower(name), strings.ToLower(c))
		}
		if d < best {
			best, found = d, c
		}
	}
	return found
}

// closest is a suggester's for one name.
func closest(name string, candidates []string) string {
	return newSuggester().closest(name, candidates)
}

// withoutSeparators makes friendlyId, friendly_id and friendly-id the same.
func withoutSeparators(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || r == ' ' {
			return -1
		}
		return r
	}, strings.ToLower(s))
}

// editDistance counts insertions, deletions, replacements and swaps of neighbours.
func editDistance(a, b string) int {
	before, previous, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range previous {
		previous[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(previous[j]+1, row[j-1]+1, previous[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, previous, row = previous, row, before
	}
	return previous[len(b)]
}
