package template

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
)

// Trial renders the template with variations of an example, which is anything that Normalise accepts: every list with 0,
// 1 and 2 elements, every path the template uses absent, every false condition made true, every equal made to hold. It
// reports what fails, for example the comma that is left over when a list is empty. ctx bounds the whole trial.
func (t *Template) Trial(ctx context.Context, data any) []Finding {
	example, err := Normalise(data)
	if err != nil {
		return []Finding{badExample(err)}
	}
	r := &trial{t: t, ctx: ctx, seen: map[Position]bool{}}
	r.try("", example)
	uses := t.usesOf(example)
	lists := listsIn(uses)
	long := copyTree(example)
	for _, l := range lists {
		resize(long, l, 2)
	}
	for n, size := range []string{"empty", "one element long", "two elements long"} {
		all := copyTree(example)
		for _, l := range lists {
			resize(all, l, n)
			name := joinSteps(l) + " is " + size
			for _, base := range []struct {
				when string
				tree any
			}{{"when " + name, example}, {"when " + name + " and the other lists have two elements", long}} {
				tree := copyTree(base.tree)
				resize(tree, l, n)
				r.try(base.when, tree)
			}
		}
		r.try("when all lists are "+size, all)
	}
	none := copyTree(example)
	for _, u := range uses {
		r.vary(u, example)
		edit(none, u.steps, func(any) (any, bool) { return nil, false })
	}
	r.try("when every path is absent", none)
	return r.findings
}

type trial struct {
	t        *Template
	ctx      context.Context
	seen     map[Position]bool
	findings []Finding
}

// vary tries the example with one path absent, and with other values where it decides something.
func (r *trial) vary(u use, example any) {
	if r.ctx.Err() != nil || len(u.steps) == 0 || u.steps[len(u.steps)-1] == elements {
		return
	}
	name := joinSteps(u.steps)
	set := func(when string, f func(any) (any, bool)) {
		tree := copyTree(example)
		if edit(tree, u.steps, f) {
			r.try("when "+name+" "+when, tree)
		}
	}
	set("is absent", func(any) (any, bool) { return nil, false })
	switch {
	case u.in.op != opValue && u.printed:
		set("is true", func(v any) (any, bool) {
			if isTrue(v) {
				return v, true
			}
			return true, true
		})
	case !u.printed && u.partner != nil:
		set("equals what it is compared with", func(any) (any, bool) { return u.partner.literal, true })
	}
}

func (r *trial) try(when string, data any) {
	_, err := r.t.Render(r.ctx, nil, data)
	var f Finding
	var notJSON *JSONError
	var render *RenderError
	switch {
	case errors.As(err, &notJSON):
		f = Finding{Position: notJSON.Position, Kind: notJSON.Kind, Message: notJSON.Message, Hint: notJSON.Hint}
	case errors.As(err, &render):
		f = Finding{Position: render.Position, Kind: render.Kind, Message: render.Message, Hint: render.Hint}
	default:
		return
	}
	if r.seen[f.Position] {
		return
	}
	r.seen[f.Position] = true
	if when != "" {
		f.Message = when + ": " + f.Message
	}
	r.findings = append(r.findings, f)
}

// usesOf returns the distinct uses of data, with lists told from objects by the example.
func (t *Template) usesOf(example any) []use {
	var uses []use
	seen := map[string]bool{}
	t.walk((*shape)(nil).add(example), func(u use) {
		if u.arg.isLoopVariable() {
			return
		}
		partner := ""
		if u.partner != nil {
			partner, _ = scalarText(u.partner.literal)
		}
		key := joinSteps(u.steps) + "\x00" + partner
		if u.in.op != opValue && u.printed {
			key += "\x00condition"
		}
		if !seen[key] {
			seen[key] = true
			uses = append(uses, u)
		}
	})
	return uses
}

// listsIn returns the paths of the lists that the uses read or go through.
func listsIn(uses []use) [][]string {
	found := map[string][]string{}
	for _, u := range uses {
		for i, s := range u.steps {
			if s == elements {
				found[joinSteps(u.steps[:i])] = u.steps[:i]
			}
		}
		if u.shape != nil && u.shape.list {
			found[joinSteps(u.steps)] = u.steps
		}
	}
	var lists [][]string
	for _, k := range slices.SortedFunc(maps.Keys(found), strings.Compare) {
		lists = append(lists, found[k])
	}
	return lists
}

// resize gives the lists at a path n elements, repeating the last one they have.
func resize(tree any, steps []string, n int) {
	edit(tree, steps, func(v any) (any, bool) {
		list, ok := v.([]any)
		if !ok || len(list) == 0 && n > 0 {
			return v, true
		}
		for len(list) > 0 && len(list) < n {
			list = append(list, copyTree(list[len(list)-1]))
		}
		return list[:n:n], true
	})
}

// edit replaces the values at a path by what f returns, or removes them; it reports whether there was a place for one.
func edit(tree any, steps []string, f func(any) (any, bool)) bool {
	if len(steps) == 0 {
		return false
	}
	last := len(steps) == 1
	done := false
	switch c := tree.(type) {
	case map[string]any:
		keys := []string{steps[0]}
		if steps[0] == elements {
			keys = sortedKeys(c)
		}
		for _, k := range keys {
			if !last {
				done = edit(c[k], steps[1:], f) || done
			} else if v, keep := f(c[k]); keep {
				c[k], done = v, true
			} else {
				delete(c, k)
				done = true
			}
		}
	case []any:
		for i, e := range c {
			if s := newSegment(steps[0]); steps[0] != elements && s.index != i {
				continue
			}
			if !last {
				done = edit(e, steps[1:], f) || done
			} else {
				c[i], _ = f(e)
				done = true
			}
		}
	}
	return done
}

func copyTree(v any) any {
	switch v := v.(type) {
	case map[string]any:
		c := make(map[string]any, len(v))
		for k, e := range v {
			c[k] = copyTree(e)
		}
		return c
	case []any:
		c := make([]any, len(v))
		for i, e := range v {
			c[i] = copyTree(e)
		}
		return c
	}
	return v
}
