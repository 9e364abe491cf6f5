package template

import "strings"

// Lint compares the paths of a template with an example of its data, anything that Normalise accepts, and reports those
// that lead nowhere or are used as what they are not. Where the example has null or an empty list it says nothing. Its
// work is proportional to the template and the example. It also reports a value in a JSON string that holds HTML,
// unless it is escaped for it. It lists the first 100 findings, and says that there are more.
func (t *Template) Lint(example any) []Finding {
	tree, err := Normalise(example)
	if err != nil {
		return []Finding{badExample(err)}
	}
	l := &linter{places: cursor{lines: t.lines}, root: (*shape)(nil).add(tree), speller: newSpeller()}
	t.walk(l.root, l.use)
	return l.findings
}

// maxFindings is the number of findings that a person can be expected to read.
const maxFindings = 100

type linter struct {
	places   cursor
	root     *shape
	speller  *speller
	findings []Finding
	markup   *instruction // the last one that was reported as not escaped for HTML
}

func (l *linter) report(kind Kind, o *operand, message, hint string) {
	if len(l.findings) == maxFindings {
		kind, message, hint = KindLimit, "there are more findings from here on", "correct those before it first"
	}
	l.findings = append(l.findings, Finding{
		Position: l.places.at(o.pos), Kind: kind, Path: o.quoted(), Message: message, Hint: hint,
	})
}

func (l *linter) use(u use) {
	if len(l.findings) > maxFindings {
		return
	}
	if u.arg.isLoopVariable() {
		l.variable(u)
		return
	}
	l.unescaped(u)
	from, ok := start(u.arg, u.scopes)
	if !ok {
		l.report(KindScope, u.arg, u.arg.quoted()+" goes above the root", "@root is the outermost context")
		return
	}
	if u.stop < len(u.arg.names) {
		l.unknown(u, from)
		return
	}
	if !u.printed || u.shape == nil {
		return
	}
	if u.in.op == opEach && u.shape.onlyScalar() {
		l.report(KindValue, u.arg, u.arg.quoted()+" is one value, not a list", "use {{#if "+u.arg.quoted()+"}}, or {{"+u.arg.quoted()+"}}")
	}
	if u.in.op == opValue {
		l.printed(u)
	}
}

// unescaped reports a value in a JSON string that holds HTML: whoever wrote the value wrote HTML.
func (l *linter) unescaped(u use) {
	if !u.in.markup || u.in == l.markup || u.printed && u.shape.onlyScalar() && !u.shape.text {
		return
	}
	l.markup = u.in
	hint := "write {{html " + u.arg.quoted() + "}}"
	if !u.printed {
		hint = "put the helper html around it"
	} else if strings.HasPrefix(u.arg.written, "%%") {
		hint = "let the macro stand for: html " + short(u.at.String())
	}
	l.report(KindMarkup, u.arg, u.arg.quoted()+" stands in HTML inside a JSON string and is not escaped for it", hint)
}

// variable reports @index and the like outside every loop.
func (l *linter) variable(u use) {
	for _, p := range u.scopes {
		if p.loop || p.plain && p.shape == nil {
			return
		}
	}
	l.report(KindScope, u.arg, u.arg.quoted()+" has a value inside {{#each}} only", "")
}

// printed looks at what is written as text; as a JSON value everything may be written.
func (l *linter) printed(u use) {
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

// unknown reports a path at the name that leads nowhere.
func (l *linter) unknown(u use, from place) {
	names := u.arg.names
	at, known := from.shape, make([]string, u.stop)
	for i := range names[:u.stop] {
		at, _ = at.member(&names[i])
		known[i] = names[i].name
	}
	name, prefix := short(names[u.stop].name), short(strings.Join(known, "."))
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
		if s := l.speller.closest(name, sortedKeys(at.fields)); s != "" {
			hint = "did you mean " + s + "?"
		}
	}
	if s := l.elsewhere(u); s != "" && (hint == "" || u.stop == 0) {
		hint = "did you mean " + s + "?"
	}
	l.report(KindPath, u.arg, "the example has nothing at "+u.arg.quoted(), hint)
}

// elsewhere looks for the whole path in the contexts around, at the root, and in the objects one below the root:
// Handlebars does not search there by itself.
func (l *linter) elsewhere(u use) string {
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
