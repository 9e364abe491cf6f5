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
	fuel   int // steps until the context is looked at again
	steps  int // steps left after that
	scopes []scope
	args   []any // arguments of the calls being evaluated

	valueEnd int     // where the last JSON value outside a string ended
	trace    []write // when tracing: every write
	tracing  bool    // only after an output was not JSON, to find the place
	pos      int     // source offset of the current instruction, for errors
	err      error   // first failure
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
		if m.fuel == 0 && !m.refuel() {
			return
		}
		m.fuel--
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
			if !m.open(in) {
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

// refuel looks at the context and the steps left.
func (m *machine) refuel() bool {
	if err := m.ctx.Err(); err != nil {
		m.fail(KindContext, "the render was cancelled", "", err)
		return false
	}
	if m.steps <= 0 {
		m.fail(KindSteps, "the template takes more than "+strconv.Itoa(m.t.limits.Steps)+" steps with this data", "look for nested loops over long lists", nil)
		return false
	}
	m.fuel = min(checkEvery, m.steps)
	m.steps -= m.fuel
	return true
}

// spend pays for n steps inside one instruction.
func (m *machine) spend(n int) bool {
	for n > m.fuel {
		n -= m.fuel
		m.fuel = 0
		if !m.refuel() {
			return false
		}
	}
	m.fuel -= n
	return true
}

func (m *machine) fail(kind Kind, message, hint string, cause error) {
	if m.err == nil {
		m.err = &RenderError{Position: m.t.lines.at(m.pos), Kind: kind, Message: message, Hint: hint, Err: cause}
	}
}

func (m *machine) text(in *instruction, pc int) {
	if m.tracing {
		m.trace = append(m.trace, write{len(m.out) - m.start, pc})
	}
	if in.joins && m.valueEnd == len(m.out) && m.valueEnd > m.start {
		m.joint()
		return
	}
	if m.fits(len(in.text)) {
		m.out = append(m.out, in.text...)
	}
}

// fits reports whether n more bytes of output are allowed.
func (m *machine) fits(n int) bool {
	if len(m.out)-m.start+n > m.t.limits.Output {
		m.tooLong()
		return false
	}
	return true
}

func (m *machine) tooLong() {
	m.fail(KindSize, "the output is longer than "+strconv.Itoa(m.t.limits.Output)+" bytes", "", nil)
}

func (m *machine) joint() {
	if m.err == nil {
		m.err = &JSONError{Position: m.t.lines.at(m.pos), Kind: KindJoint,
			Message: "a value outside quotes stands directly beside other text or another value",
			Hint:    "put the whole text in quotes, or a comma between the values"}
	}
}

func (m *machine) truth(in *instruction) bool {
	v := m.eval(&in.arg)
	if in.zero != nil && m.isTruthy(m.eval(in.zero)) {
		return !isEmpty(v)
	}
	return m.isTrue(v)
}

// isTrue is isTrue of values, paid for.
func (m *machine) isTrue(v any) bool {
	if n, ok := v.(json.Number); ok && !m.pay(len(n)) {
		return false
	}
	return isTrue(v)
}

// isTruthy is the truth of JavaScript, in which an empty list is true.
func (m *machine) isTruthy(v any) bool {
	_, isList := v.([]any)
	return isList || m.isTrue(v)
}

// pay spends the steps for n bytes that are read or written inside one instruction. What is short costs nothing: the
// instruction has paid for it.
func (m *machine) pay(n int) bool { return n < bytesPerStep || m.spend(n/bytesPerStep) }

// payKeys pays for sorting the keys of an object.
func (m *machine) payKeys(object map[string]any) bool {
	n := 0
	for k := range object {
		n += bytesPerStep + len(k)
	}
	return m.pay(n)
}

// open enters a block; it reports false when the else branch is to be taken.
func (m *machine) open(in *instruction) bool {
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
	if o.cost > 0 && !m.spend(o.cost) {
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
		m.foreign()
		return nil
	}
	return v
}

// foreign reports a Go value that Normalise would have refused or replaced.
func (m *machine) foreign() {
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

// value writes v as the instruction's place demands.
func (m *machine) value(in *instruction, v any, pc int) {
	if m.tracing {
		m.trace = append(m.trace, write{len(m.out) - m.start, pc})
	}
	if in.nest > 0 {
		m.nested(in, v)
		return
	}
	if in.out == outJSONValue {
		if n := len(m.out); n > m.start && joinsJSON(m.out[n-1]) {
			m.joint()
			return
		}
		m.out = m.appendJSON(m.out, v, 0)
		m.valueEnd = len(m.out)
		m.fits(0)
		return
	}
	switch v := v.(type) {
	case nil:
	case string:
		if m.fits(len(v)) {
			m.out = appendString(m.out, in.out, v)
		}
	case json.Number:
		if isNumber(string(v)) {
			m.out = append(m.out, v...)
		} else if m.fits(len(v)) {
			m.out = appendString(m.out, in.out, string(v))
		}
	case bool:
		m.out = strconv.AppendBool(m.out, v)
	case int:
		m.out = strconv.AppendInt(m.out, int64(v), 10)
	default:
		m.out = appendString(m.out, in.out, string(m.appendText(nil, v, 0)))
	}
	m.fits(0)
}

// nested writes v into a document that stands in a string of a document: every level of strings escapes it once more.
func (m *machine) nested(in *instruction, v any) {
	var text string
	if in.out == outJSONValue {
		text = string(m.appendJSON(nil, v, 0))
	} else {
		text = string(appendJSONString(nil, m.textOf(v)))
	}
	for range in.nest - 1 {
		if m.err != nil || !m.fits(len(text)) {
			return
		}
		text = string(appendJSONString(nil, text))
	}
	if m.err == nil && m.fits(len(text)) {
		m.out = appendJSONString(m.out, text)
		m.fits(0)
	}
}

// joinsJSON reports whether b could be part of a number or word of JSON that a neighbour prolongs.
func joinsJSON(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '.' || b == '-' || b == '+'
}

// appendText appends the text of a value: a list is joined by commas, an object is its JSON.
func (m *machine) appendText(dst []byte, v any, depth int) []byte {
	if s, ok := scalarText(v); ok {
		return append(dst, s...)
	}
	list, ok := v.([]any)
	if !ok {
		return m.appendJSON(dst, v, depth)
	}
	for i, e := range list {
		if !m.descend(len(dst), depth) {
			break
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = m.appendText(dst, e, depth+1)
	}
	return dst
}

// appendJSON appends v as JSON, keys in byte order, numbers digit for digit.
func (m *machine) appendJSON(dst []byte, v any, depth int) []byte {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...)
	case bool:
		return strconv.AppendBool(dst, v)
	case int:
		return strconv.AppendInt(dst, int64(v), 10)
	case json.Number:
		if isNumber(string(v)) {
			return append(dst, v...)
		}
		return appendString(dst, outJSONValue, string(v))
	case string:
		if !m.fits(len(v)) {
			return dst
		}
		return appendString(dst, outJSONValue, v)
	case []any:
		dst = append(dst, '[')
		for i, e := range v {
			if !m.descend(len(dst), depth) {
				break
			}
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = m.appendJSON(dst, e, depth+1)
		}
		return append(dst, ']')
	case map[string]any:
		if !m.payKeys(v) {
			return dst
		}
		dst = append(dst, '{')
		for i, k := range sortedKeys(v) {
			if !m.descend(len(dst), depth) {
				break
			}
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendString(dst, outJSONValue, k), ':')
			dst = m.appendJSON(dst, v[k], depth+1)
		}
		return append(dst, '}')
	}
	m.foreign()
	return dst
}

// descend pays for one element of a list or object and bounds the depth and the length of the text so far.
func (m *machine) descend(length, depth int) bool {
	if depth >= maxDataDepth {
		m.fail(KindData, "the data is nested deeper than "+strconv.Itoa(maxDataDepth)+" levels", "", nil)
	}
	if length > m.start+m.t.limits.Output {
		m.fits(m.t.limits.Output + 1)
	}
	return m.err == nil && m.spend(1)
}
