package template

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
		m.set(s, around)
		return true
	case map[string]any:
		if len(v) == 0 || !m.payKeys(v) {
			return false
		}
		s := m.enter(scopeObject, nil, true)
		s.object, s.keys, s.n = v, sortedKeys(v), len(v)
		m.set(s, around)
		return true
	}
	return false
}

// set makes the current element of a loop the context.
func (m *machine) set(s *scope, around any) {
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
			m.set(s, m.scopes[top-1].this)
			return true
		}
	}
	m.scopes[top] = scope{} // keep no data in the pool
	m.scopes = m.scopes[:top]
	return false
}
