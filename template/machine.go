package template

import (
	"context"
	"encoding/json"
	"strconv"
)

// machine runs a program. Machines are reused between renders of one template, so that a render allocates nothing.
type machine struct {
	t      *Template
	ctx    context.Context
	root   any
	out    []byte
	start  int // where this render's output begins in out
	batch  int // steps until the context is looked at again
	steps  int // steps left after that
	scopes []scope
	args   []any // arguments of the calls being evaluated

	valueEnd int          // where the last JSON value outside a string ended
	trace    []traceEntry // when tracing: every write
	tracing  bool         // only after an output was not JSON, to find the place
	pos      int          // source offset of the current instruction, for errors
	err      error        // first failure
}

// checkEvery is the number of steps between two looks at the context.
const checkEvery = 1024

// bytesPerStep is the number of bytes that a helper, a comparison or a name in a path may read or write for one step.
const bytesPerStep = 64

// maxDataDepth bounds the recursion into data; Normalise refuses deeper data and cycles.
const maxDataDepth = 64

func (m *machine) run() {
	code := m.t.code
	for pc := 0; pc < len(code); pc++ {
		in := &code[pc]
		m.pos = in.pos
		if m.batch == 0 && !m.nextBatch() {
			return
		}
		m.batch--
		switch in.op {
		case opText:
			m.text(in, pc)
		case opValue:
			v := m.eval(&in.arg)
			if m.err != nil {
				return
			}
			m.value(in, v, pc)
		case opIf:
			if !m.truth(in) {
				pc = in.target - 1
			}
		case opUnless:
			if m.truth(in) {
				pc = in.target - 1
			}
		case opJump:
			pc = in.target - 1
		case opWith, opEach, opSection:
			if !m.openBlock(in) {
				pc = in.target - 1
			}
		case opNext:
			if m.next() {
				pc = in.target - 1
			}
		}
		if m.err != nil {
			return
		}
	}
}

// nextBatch looks at the context and the steps left.
func (m *machine) nextBatch() bool {
	if err := m.ctx.Err(); err != nil {
		m.fail(KindContext, "the render was cancelled", "", err)
		return false
	}
	if m.steps <= 0 {
		m.fail(KindSteps, "the template takes more than "+strconv.Itoa(m.t.limits.Steps)+" steps with this data", "look for nested loops over long lists", nil)
		return false
	}
	m.batch = min(checkEvery, m.steps)
	m.steps -= m.batch
	return true
}

// countSteps counts n steps inside one instruction.
func (m *machine) countSteps(n int) bool {
	for n > m.batch {
		n -= m.batch
		m.batch = 0
		if !m.nextBatch() {
			return false
		}
	}
	m.batch -= n
	return true
}

func (m *machine) fail(kind Kind, message, hint string, cause error) {
	if m.err == nil {
		m.err = &RenderError{Position: m.t.lines.at(m.pos), Kind: kind, Message: message, Hint: hint, Err: cause}
	}
}

func (m *machine) truth(in *instruction) bool {
	v := m.eval(&in.arg)
	if in.zero != nil && m.isTruthy(m.eval(in.zero)) {
		return !isEmpty(v)
	}
	return m.isTrue(v)
}

// isTrue is isTrue of values, with its steps counted.
func (m *machine) isTrue(v any) bool {
	if n, ok := v.(json.Number); ok && !m.countBytes(len(n)) {
		return false
	}
	return isTrue(v)
}

// isTruthy is the truth of JavaScript, in which an empty list is true.
func (m *machine) isTruthy(v any) bool {
	_, isList := v.([]any)
	return isList || m.isTrue(v)
}

// countBytes counts the steps for n bytes that are read or written inside one instruction. What is short costs nothing:
// the step of the instruction covers it.
func (m *machine) countBytes(n int) bool { return n < bytesPerStep || m.countSteps(n/bytesPerStep) }

// countKeys counts the steps of sorting the keys of an object.
func (m *machine) countKeys(object map[string]any) bool {
	n := 0
	for k := range object {
		n += bytesPerStep + len(k)
	}
	return m.countBytes(n)
}

// openBlock enters a block; it reports false when the else branch is to be taken.
func (m *machine) openBlock(in *instruction) bool {
	v := m.eval(&in.arg)
	if m.err != nil {
		return false
	}
	around := m.scopes[len(m.scopes)-1].this
	if in.op == opEach {
		return m.enterLoop(v)
	}
	if in.op == opWith {
		if isEmpty(v) {
			return false
		}
		m.enter(scopeWith, v, m.isLevel(v, around))
		return true
	}
	if list, ok := v.([]any); ok {
		return m.enterLoop(list)
	}
	switch v {
	case nil, false:
		return false
	case true:
		m.enter(scopePlain, around, false)
	default:
		m.enter(scopePlain, v, m.isLevel(v, around))
	}
	return true
}

// eval returns an operand's value. It fails, with m.err set, in a helper and on data that is not in the normalised
// form.
func (m *machine) eval(o *operand) any {
	if o.cost > 0 && !m.countSteps(o.cost) {
		return nil
	}
	var v any
	switch o.base {
	case baseThis:
		if o.depth == 0 {
			v = m.scopes[len(m.scopes)-1].this
		} else {
			v = m.outer(o.depth)
		}
	case baseRoot:
		v = m.root
	case baseLiteral:
		return o.literal
	case baseCall:
		v = m.call(o)
	case baseParam:
		if s := &m.scopes[o.depth]; s.kind != scopePlain {
			v = s.this
		}
	case baseParamAt:
		if s := &m.scopes[o.depth]; s.isLoop() {
			v = s.key()
		}
	default:
		v = m.variable(o)
	}
	for i := range o.names {
		if object, ok := v.(map[string]any); ok {
			v = object[o.names[i].name]
			continue
		}
		if !isData(v) || o.isVariable() && !m.isTruthy(v) {
			break // a false value on the way through an @-variable is the result, as in handlebars.js
		}
		v = m.member(v, &o.names[i])
	}
	if !isData(v) {
		m.invalidData()
		return nil
	}
	return v
}

// invalidData reports a Go value that Normalise would have refused or replaced.
func (m *machine) invalidData() {
	m.fail(KindData, "the data holds a Go value that is not in the normalised form", "pass the data through Normalise", nil)
}

func (m *machine) variable(o *operand) any {
	s := m.loop(o.depth)
	if s == nil {
		return nil
	}
	switch o.base {
	case baseIndex:
		return s.i
	case baseKey:
		return s.key()
	case baseFirst:
		return s.i == 0
	default:
		return s.i == s.n-1
	}
}

// scope is one open block of a running program, or the root.
type scope struct {
	this   any // the context inside the block
	kind   scopeKind
	pushed bool // ../ counts this scope: its context is not the surrounding one

	i, n   int // loops: current and number of iterations
	list   []any
	object map[string]any
	keys   []string // of object, sorted
}

type scopeKind uint8

const (
	scopePlain scopeKind = iota // root, or a section that is no loop
	scopeWith                   // has a block parameter, and no @-variables of its own
	scopeList
	scopeObject
)

func (s *scope) isLoop() bool { return s.kind >= scopeList }

// outer returns the context n steps up, nil above the root.
func (m *machine) outer(n int) any {
	i := len(m.scopes) - 1
	for ; n > 0; n-- {
		for i > 0 && !m.scopes[i].pushed {
			i--
		}
		if i--; i < 0 {
			return nil
		}
	}
	return m.scopes[i].this
}

// loop returns the loop whose @-variables are visible n loops further out, nil when there is none.
func (m *machine) loop(n int) *scope {
	for i := len(m.scopes) - 1; i > 0; i-- {
		if s := &m.scopes[i]; s.isLoop() {
			if n == 0 {
				return s
			}
			n--
		}
	}
	return nil
}

// key is @key: the field name in an object, the index in a list.
func (s *scope) key() any {
	if s.kind == scopeObject {
		return s.keys[s.i]
	}
	return s.i
}

// enter opens a scope and returns it. The slice is reused between renders; stale fields are overwritten.
func (m *machine) enter(kind scopeKind, this any, pushed bool) *scope {
	m.scopes = append(m.scopes, scope{this: this, kind: kind, pushed: pushed})
	return &m.scopes[len(m.scopes)-1]
}

// enterLoop opens a loop over a list or an object; it reports false when there is nothing to loop over.
func (m *machine) enterLoop(v any) bool {
	around := m.scopes[len(m.scopes)-1].this
	switch v := v.(type) {
	case []any:
		if len(v) == 0 {
			return false
		}
		s := m.enter(scopeList, nil, true)
		s.list, s.n = v, len(v)
		m.setElement(s, around)
		return true
	case map[string]any:
		if len(v) == 0 || !m.countKeys(v) {
			return false
		}
		s := m.enter(scopeObject, nil, true)
		s.object, s.keys, s.n = v, sortedKeys(v), len(v)
		m.setElement(s, around)
		return true
	}
	return false
}

// setElement makes the current element of a loop the context.
func (m *machine) setElement(s *scope, around any) {
	if s.kind == scopeList {
		s.this = s.list[s.i]
	} else {
		s.this = s.object[s.keys[s.i]]
	}
	s.pushed = m.isLevel(s.this, around)
}

// next goes to the next element, or closes the scope and reports false.
func (m *machine) next() bool {
	top := len(m.scopes) - 1
	s := &m.scopes[top]
	if s.isLoop() {
		if s.i++; s.i < s.n {
			m.setElement(s, m.scopes[top-1].this)
			return true
		}
	}
	m.scopes[top] = scope{} // keep no data in the pool
	m.scopes = m.scopes[:top]
	return false
}
