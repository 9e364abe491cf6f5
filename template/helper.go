package template

import "errors"

// Helper is a function that templates call by name: {{name argument …}} or (name argument …). It is pure: the same
// arguments give the same result, without side effects, and it may be called from many goroutines.
type Helper struct {
	// Min and Max bound the number of arguments, which Compile checks. A negative Max means any number.
	Min, Max int
	// Call computes the result. Arguments are nil, bool, string, json.Number, []any or map[string]any, and are neither
	// modified nor kept. The result may be anything Normalise accepts; it is escaped like data. An error, or a panic,
	// ends the render with a *RenderError that wraps the error.
	Call func(args []any) (any, error)
}

// ErrPanic is wrapped by the RenderError of a helper that panicked.
var ErrPanic = errors.New("template: a helper panicked")

// call evaluates the arguments and calls the helper.
func (m *machine) call(o *operand) any {
	c := o.call
	from := len(m.args)
	for i := range c.args {
		v := m.eval(&c.args[i])
		if m.err != nil {
			return nil
		}
		m.args = append(m.args, v)
	}
	m.pos = o.pos
	args := m.args[from:]
	var v any
	if c.builtin.call != nil {
		v = c.builtin.call(m, args)
	} else {
		v = m.callHost(c, args)
	}
	clear(args)
	m.args = m.args[:from]
	return v
}

// callHost calls a helper of the host: what it gets and returns is data, and it cannot break the render.
func (m *machine) callHost(c *call, args []any) any {
	for i, a := range args {
		args[i] = plain(a)
		if s, ok := a.(string); ok && !m.pay(len(s)) {
			return nil
		}
	}
	v, err := protect(c.helper.Call, args)
	if err == nil {
		v, err = Normalise(v)
	}
	switch {
	case errors.Is(err, ErrPanic):
		m.fail(KindPanic, "the helper "+c.name+" panicked", "", err)
	case err != nil:
		m.fail(KindFailed, "the helper "+c.name+" failed", "", err)
	default:
		m.weigh(v)
	}
	return v
}

// weigh pays for a tree that a helper of the host has made.
func (m *machine) weigh(v any) bool {
	switch v := v.(type) {
	case string:
		return m.pay(len(v))
	case []any:
		for _, e := range v {
			if !m.spend(1) || !m.weigh(e) {
				return false
			}
		}
	case map[string]any:
		if !m.payKeys(v) {
			return false
		}
		for _, e := range v {
			if !m.weigh(e) {
				return false
			}
		}
	}
	return true
}

func protect(f func([]any) (any, error), args []any) (v any, err error) {
	defer func() {
		if recover() != nil {
			v, err = nil, ErrPanic // the panic's value may be data
		}
	}()
	return f(args)
}
