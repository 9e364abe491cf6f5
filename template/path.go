package template

import (
	"encoding/json"
	"slices"
	"unicode/utf8"
)

// Path is one use of data in a template.
type Path struct {
	Position        // where it is used
	Written  string // as the template has it, for example "integration.name"
	// Full is the path from the root as far as the template alone says, with [] for the elements of a list or an
	// object that #each loops over: "data.access_groups[].integration.name". One longer than 1,024 bytes ends in "…".
	Full string
}

// Paths lists every use of data in the order of the template: conditions, loops, arguments and values.
// @index, @key, @first and @last are not data.
func (t *Template) Paths() []Path {
	var paths []Path
	places := cursor{lines: t.lines}
	t.walk(nil, func(u use) {
		if u.arg.isLoopVariable() {
			return
		}
		paths = append(paths, Path{Position: places.at(u.arg.pos), Written: u.arg.written, Full: u.at.String()})
	})
	return paths
}

// elements stands for all elements of a list or object in a path from the root.
const elements = "[]"

// pathNode is a path from the root in the tree of all paths of one walk: equal paths are one node, and a path costs the
// memory of its last name, however deep the block is in which it stands.
type pathNode struct {
	parent   *pathNode // nil: the root
	name     string
	text     string // what String returned
	children map[string]*pathNode
}

// child returns the path one name longer.
func (n *pathNode) child(name string) *pathNode {
	next, ok := n.children[name]
	if !ok {
		if n.children == nil {
			n.children = map[string]*pathNode{}
		}
		next = &pathNode{parent: n, name: name}
		n.children[name] = next
	}
	return next
}

// steps returns the names from the root.
func (n *pathNode) steps() []string {
	var steps []string
	for ; n != nil && n.parent != nil; n = n.parent {
		steps = append(steps, n.name)
	}
	slices.Reverse(steps)
	return steps
}

// maxFullPath bounds the text of a path: without it, the paths of all uses were the square of the template.
const maxFullPath = 1024

// String joins the names by dots.
func (n *pathNode) String() string {
	if n == nil || n.parent == nil {
		return ""
	}
	if n.text != "" {
		return n.text
	}
	before := n.parent.String()
	switch {
	case len(before) > maxFullPath:
		n.text = before
	case before == "" || n.name == elements:
		n.text = before + n.name
	default:
		n.text = before + "." + n.name
	}
	if len(n.text) > maxFullPath && len(before) <= maxFullPath {
		end := maxFullPath
		for !utf8.RuneStart(n.text[end]) {
			end--
		}
		n.text = n.text[:end] + "…"
	}
	return n.text
}

// isLoopVariable reports whether o is @index, @key, @first or @last.
func (o *operand) isLoopVariable() bool { return o.base >= baseIndex && o.base <= baseLast }

// isVariable reports whether o begins with an @-variable.
func (o *operand) isVariable() bool { return o.isLoopVariable() || o.base == baseRoot }

// use is one operand that reads data, seen with its surroundings.
type use struct {
	in           *instruction
	arg          *operand
	printed      bool      // the operand itself is the instruction's, not a helper's argument
	at           *pathNode // the path from the root
	shape        *shape    // nil when nothing is known
	scopes       []staticScope
	comparedWith *operand // the literal that equal compares it with, or nil
	stop         int      // number of names that led to something known; len(arg.names) when all did
}

// staticScope is a scope as it can be known without running the program.
type staticScope struct {
	at     *pathNode
	shape  *shape
	pushed bool
	loop   bool
	plain  bool // a section that is no loop
}

// walk visits every operand that reads data, in order. The root's shape may be nil.
func (t *Template) walk(root *shape, visit func(use)) {
	scopes := []staticScope{{at: &pathNode{}, shape: root}}
	for pc := range t.code {
		in := &t.code[pc]
		switch in.op {
		case opValue, opIf, opUnless:
			t.operand(in, &in.arg, true, scopes, visit)
			if in.zero != nil {
				t.operand(in, in.zero, false, scopes, visit)
			}
		case opWith, opEach, opSection:
			u := t.operand(in, &in.arg, true, scopes, visit)
			scopes = append(scopes, enterStatic(in, u, scopes[len(scopes)-1]))
		case opNext:
			scopes = scopes[:len(scopes)-1]
		default:
		}
	}
}

func enterStatic(in *instruction, u use, around staticScope) staticScope {
	p := staticScope{at: u.at, shape: u.shape, pushed: true}
	list := u.shape != nil && u.shape.list
	if in.op == opEach || in.op == opSection && list {
		p.loop = true
		p.at = u.at.child(elements)
		p.shape = u.shape.element()
		return p
	}
	p.plain = in.op == opSection
	if p.plain && u.shape.onlyFlag() { // {{#flag}} keeps the context
		return staticScope{at: around.at, shape: around.shape, plain: true}
	}
	p.pushed = in.arg.base != baseThis || in.arg.depth > 0 || len(in.arg.names) > 0
	return p
}

// operand visits one operand, and the arguments of a call first.
func (t *Template) operand(in *instruction, o *operand, printed bool, scopes []staticScope, visit func(use)) use {
	u := use{in: in, arg: o, printed: printed, at: &pathNode{}, scopes: scopes}
	switch o.base {
	case baseCall:
		for i := range o.call.args {
			t.operand(in, &o.call.args[i], false, scopes, func(u use) {
				if u.arg == &o.call.args[i] && o.call.name == "equal" && o.call.args[1-i].base == baseLiteral {
					u.comparedWith = &o.call.args[1-i]
				}
				visit(u)
			})
		}
		return u
	case baseLiteral, baseParamAt:
		return u
	case baseIndex, baseKey, baseFirst, baseLast:
		visit(u)
		return u
	default:
	}
	from, ok := start(o, scopes)
	if !ok {
		from.at = &pathNode{}
	}
	u.at, u.shape = from.at, from.shape
	for i := range o.names {
		next, ok := u.shape.member(&o.names[i])
		if ok && u.stop == i {
			u.stop++
		}
		u.shape = next
		u.at = u.at.child(o.names[i].name)
	}
	visit(u)
	return u
}

// start returns the place where an operand's path begins; false above the root.
func start(o *operand, scopes []staticScope) (staticScope, bool) {
	i := len(scopes) - 1
	switch o.base {
	case baseRoot:
		i = 0
	case baseParam:
		i = o.depth
	case baseThis:
		for n := o.depth; n > 0; n-- {
			for i > 0 && !scopes[i].pushed {
				i--
			}
			if i--; i < 0 {
				return staticScope{}, false
			}
		}
	default:
	}
	return scopes[i], true
}

// shape is what an example says about the values at one place: a list's elements are merged into one.
type shape struct {
	text   bool
	flag   bool
	number bool
	fields map[string]*shape // not nil: an object
	list   bool
	elem   *shape // nil: nothing is known of the elements

	merged       bool   // fieldsMerged is known
	fieldsMerged *shape // an object's fields taken together; nil: nothing is known of them
}

// add merges a value into a shape, which may be nil, and returns it. Null says nothing.
func (s *shape) add(v any) *shape {
	if v == nil {
		return s
	}
	if s == nil {
		s = &shape{}
	}
	switch v := v.(type) {
	case map[string]any:
		if s.fields == nil {
			s.fields = map[string]*shape{}
		}
		for k, e := range v {
			s.fields[k] = s.fields[k].add(e)
		}
	case []any:
		s.list = true
		for _, e := range v {
			s.elem = s.elem.add(e)
		}
	case string:
		s.text = true
	case bool:
		s.flag = true
	case json.Number:
		s.number = true
	}
	return s
}

func (s *shape) scalar() bool { return s.text || s.flag || s.number }

// onlyList, onlyScalar, onlyObject and onlyFlag report whether the shape is known to be nothing else.
func (s *shape) onlyList() bool   { return s != nil && s.list && !s.scalar() && s.fields == nil }
func (s *shape) onlyScalar() bool { return s != nil && s.scalar() && !s.list && s.fields == nil }
func (s *shape) onlyObject() bool { return s != nil && s.fields != nil && !s.list && !s.scalar() }
func (s *shape) onlyFlag() bool   { return s.onlyScalar() && !s.text && !s.number }

// member follows a name; false when the example has nothing there. Of a nil shape nothing is known, which is no fault.
func (s *shape) member(name *segment) (*shape, bool) {
	switch {
	case s == nil:
		return nil, true
	case s.fields != nil:
		if f, ok := s.fields[name.name]; ok {
			return f, true
		}
	}
	if s.list && name.index >= 0 {
		return s.elem, true
	}
	if name.name == "length" && (s.list || s.text) {
		return &shape{number: true}, true
	}
	return nil, false
}

// element returns what is known of the elements of a list, or of the fields of an object taken together.
func (s *shape) element() *shape {
	if s == nil {
		return nil
	}
	if s.list {
		return s.elem
	}
	if !s.merged {
		s.merged = true
		for _, f := range s.fields {
			s.fieldsMerged = s.fieldsMerged.merge(f)
		}
	}
	return s.fieldsMerged
}

// merge adds to s, which may be nil, what is known of o, and returns it. It shares no shape with o.
func (s *shape) merge(o *shape) *shape {
	if o == nil {
		return s
	}
	if s == nil {
		s = &shape{}
	}
	s.text, s.flag, s.number, s.list = s.text || o.text, s.flag || o.flag, s.number || o.number, s.list || o.list
	s.elem = s.elem.merge(o.elem)
	if o.fields != nil && s.fields == nil {
		s.fields = make(map[string]*shape, len(o.fields))
	}
	for k, f := range o.fields {
		s.fields[k] = s.fields[k].merge(f)
	}
	return s
}
