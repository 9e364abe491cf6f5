package channeltest

import (
	"fmt"
	"reflect"
	"unsafe"

	"github.com/tocsin-go/tocsin/channel/secret"
)

// planter plants values in a configuration.
type planter struct {
	plant    func(field string) secret.Value
	problems []string // places that can hold a value and have room for none
	visited  map[unsafe.Pointer]bool
}

// walk plants in everything below a pointer to a configuration.
func (p *planter) walk(config any) {
	p.visited = make(map[unsafe.Pointer]bool)
	p.visit(reflect.ValueOf(config).Elem(), "", true)
}

// visit plants below v, which is addressable. fillable says that whoever writes a configuration can reach it.
func (p *planter) visit(v reflect.Value, field string, fillable bool) {
	if !v.CanSet() { // an unexported field
		v = reflect.NewAt(v.Type(), unsafe.Pointer(v.UnsafeAddr())).Elem()
	}
	empty := func(remedy string) {
		if fillable && canHold(v.Type(), nil) {
			p.problems = append(p.problems, fmt.Sprintf("%s can hold a secret.Value and is empty: %s in LeakSuite.Config", field, remedy))
		}
	}
	switch {
	case v.Type() == reflect.TypeFor[secret.Value]():
		v.Set(reflect.ValueOf(p.plant(field)))
	case v.Kind() == reflect.Pointer && !isOpaque(v.Type()):
		switch {
		case v.IsNil():
			empty("set it")
		case !p.visited[v.UnsafePointer()]:
			p.visited[v.UnsafePointer()] = true
			p.visit(v.Elem(), field, fillable)
		}
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			name := f.Name
			if field != "" {
				name = field + "." + name
			}
			p.visit(v.Field(i), name, fillable && f.IsExported())
		}
	case v.Kind() == reflect.Slice && v.Len() == 0:
		empty("give it an element")
	case v.Kind() == reflect.Slice, v.Kind() == reflect.Array:
		for i := range v.Len() {
			p.visit(v.Index(i), fmt.Sprintf("%s[%d]", field, i), fillable)
		}
	case v.Kind() == reflect.Map && v.Len() == 0:
		empty("give it an element")
	case v.Kind() == reflect.Map && canHold(v.Type(), nil):
		for _, k := range v.MapKeys() {
			v.SetMapIndex(k, p.visitCopy(v.MapIndex(k), fmt.Sprintf("%s[%v]", field, k), fillable))
		}
	case v.Kind() == reflect.Interface && !v.IsNil() && canHold(v.Elem().Type(), nil):
		v.Set(p.visitCopy(v.Elem(), field, fillable))
	}
}

// visitCopy plants in a copy of v, for places that cannot be written to.
func (p *planter) visitCopy(v reflect.Value, field string, fillable bool) reflect.Value {
	c := reflect.New(v.Type()).Elem()
	c.Set(v)
	p.visit(c, field, fillable)
	return c
}

// canHold reports whether a configuration of type t can hold a secret.Value. above are the types that t is a part of.
func canHold(t reflect.Type, above []reflect.Type) bool {
	if t == reflect.TypeFor[secret.Value]() {
		return true
	}
	for _, a := range above {
		if a == t {
			return false
		}
	}
	above = append(above, t)
	switch t.Kind() {
	case reflect.Pointer:
		return !isOpaque(t) && canHold(t.Elem(), above)
	case reflect.Slice, reflect.Array, reflect.Map:
		return canHold(t.Elem(), above)
	case reflect.Struct:
		for i := range t.NumField() {
			if canHold(t.Field(i).Type, above) {
				return true
			}
		}
	}
	return false
}

// isOpaque reports whether t is a pointer to a struct without exported fields: a thing that is used, such as a guard or
// a logger, and not a part of a configuration. What it holds may be in use by others.
func isOpaque(t reflect.Type) bool {
	if t.Elem().Kind() != reflect.Struct {
		return false
	}
	for i := range t.Elem().NumField() {
		if t.Elem().Field(i).IsExported() {
			return false
		}
	}
	return true
}
