package template

import "strings"

// Path is one use of data in a template.
type Path struct {
	Position        // where it is used
	Written  string // as the template has it, for example "integration.name"
	// Full is the path from the root as far as the template alone tells, with [] for the elements of a list or an
	// object that #each loops over: "data.access_groups[].integration.name".
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
		paths = append(paths, Path{Position: places.at(u.arg.pos), Written: u.arg.written, Full: joinSteps(u.steps)})
	})
	return paths
}

// elements stands for all elements of a list or object in a path from the root.
const elements = "[]"

func joinSteps(steps []string) string {
	var b strings.Builder
	for i, s := range steps {
		if i > 0 && s != elements {
			b.WriteByte('.')
		}
		b.WriteString(s)
	}
	return b.String()
}

// isLoopVariable reports whether o is @index, @key, @first or @last.
func (o *operand) isLoopVariable() bool { return o.base >= baseIndex && o.base <= baseLast }

// use is one operand that reads data, seen with its surroundings.
type use struct {
	in      *instruction
	arg     *operand
	printed bool // the operand itself is the instruction's, not a helper's argument
	steps   []string
	shape   *shape // nil when nothing is known
	scopes  []place
	partner *operand // the literal that equal compares it with, or nil
	stop    int      // number of names that led to something known; len(arg.names) when all did
}

// place is a scope as it can be known without running the program.
type place struct {
	steps  []string
	shape  *shape
	pushed bool
	loop   bool
	plain  bool // a section that is no loop
}

// walk visits every operand that reads data, in order. The root's shape may be nil.
func (t *Template) walk(root *shape, visit func(use)) {
	scopes := []place{{shape: root}}
	for pc := range t.code {
		in := &t.code[pc]
		switch in.op {
		case opValue, opIf, opUnless:
			t.operand(in, &in.arg, true, scopes, visit)
		case opWith, opEach, opSection:
			u := t.operand(in, &in.arg, true, scopes, visit)
			scopes = append(scopes, enterPlace(in, u, scopes[len(scopes)-1]))
		case opNext:
			scopes = scopes[:len(scopes)-1]
		default:
		}
	}
}

func enterPlace(in *instruction, u use, around place) place {
	p := place{steps: u.steps, shape: u.shape, pushed: true}
	list := u.shape != nil && u.shape.list
	if in.op == opEach || in.op == opSection && list {
		p.loop = true
		p.steps = append(append([]string{}, u.steps...), elements)
		p.shape = elementShape(u.shape)
		return p
	}
	p.plain = in.op == opSection
	if p.plain && u.shape.onlyFlag() { // {{#flag}} keeps the context
		return place{steps: around.steps, shape: around.shape, plain: true}
	}
	p.pushed = in.arg.base != baseThis || in.arg.depth > 0 || len(in.arg.names) > 0
	return p
}

func elementShape(s *shape) *shape {
	if s == nil || !s.list && len(s.fields) == 0 {
		return nil
	}
	if s.list {
		return s.elem
	}
	var all *shape
	for _, k := range sortedKeys(s.fields) {
		all = all.merge(s.fields[k])
	}
	return all
}

// operand visits one operand, and the arguments of a call first.
func (t *Template) operand(in *instruction, o *operand, printed bool, scopes []place, visit func(use)) use {
	u := use{in: in, arg: o, printed: printed, scopes: scopes}
	switch o.base {
	case baseCall:
		for i := range o.call.args {
			t.operand(in, &o.call.args[i], false, scopes, func(u use) {
				if u.arg == &o.call.args[i] && o.call.name == "equal" && o.call.args[1-i].base == baseLiteral {
					u.partner = &o.call.args[1-i]
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
	from, _ := start(o, scopes)
	u.steps, u.shape = append([]string{}, from.steps...), from.shape
	for i := range o.names {
		next, ok := u.shape.member(&o.names[i])
		if ok && u.stop == i {
			u.stop++
		}
		u.shape = next
		u.steps = append(u.steps, o.names[i].name)
	}
	visit(u)
	return u
}

// start returns the place where an operand's path begins; false above the root.
func start(o *operand, scopes []place) (place, bool) {
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
				return place{}, false
			}
		}
	default:
	}
	return scopes[i], true
}
