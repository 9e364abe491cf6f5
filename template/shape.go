package template

import "encoding/json"

// shape is what an example tells about the values at one place: a list's elements are merged into one.
type shape struct {
	text   bool
	flag   bool
	number bool
	fields map[string]*shape // not nil: an object
	list   bool
	elem   *shape // nil: nothing is known of the elements

	united bool   // any is known
	any    *shape // an object's fields taken together; nil: nothing is known of them
}

// add merges a value into a shape, which may be nil, and returns it. Null tells nothing.
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
	if !s.united {
		s.united = true
		for _, f := range s.fields {
			s.any = s.any.absorb(f)
		}
	}
	return s.any
}

// absorb adds to s, which may be nil, what is known of o, and returns it. It shares no shape with o.
func (s *shape) absorb(o *shape) *shape {
	if o == nil {
		return s
	}
	if s == nil {
		s = &shape{}
	}
	s.text, s.flag, s.number, s.list = s.text || o.text, s.flag || o.flag, s.number || o.number, s.list || o.list
	s.elem = s.elem.absorb(o.elem)
	if o.fields != nil && s.fields == nil {
		s.fields = make(map[string]*shape, len(o.fields))
	}
	for k, f := range o.fields {
		s.fields[k] = s.fields[k].absorb(f)
	}
	return s
}
