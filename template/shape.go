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

// merge unites two shapes; both may be nil.
func (s *shape) merge(o *shape) *shape {
	if s == nil || o == nil {
		if s == nil {
			return o
		}
		return s
	}
	u := &shape{
		text: s.text || o.text, flag: s.flag || o.flag, number: s.number || o.number,
		list: s.list || o.list, elem: s.elem.merge(o.elem),
	}
	if s.fields != nil || o.fields != nil {
		u.fields = map[string]*shape{}
		for k, f := range s.fields {
			u.fields[k] = f.merge(o.fields[k])
		}
		for k, f := range o.fields {
			u.fields[k] = f.merge(s.fields[k])
		}
	}
	return u
}
