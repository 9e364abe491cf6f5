package template

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
)

// Trial renders the template with variations of an example, which is anything that Normalise accepts: every list with
// 0, 1 and 2 elements, every path the template uses absent, every false condition made true, every equal made to hold.
// It reports what fails, for example the comma that is left over when a list is empty, and in Text and Slack mode a
// text that becomes empty. ctx bounds the whole trial, and so do twice as many steps as one Render may take: where they
// do not suffice, the last finding says so.
func (t *Template) Trial(ctx context.Context, data any) []Finding {
	example, err := Normalise(data)
	if err != nil {
		return []Finding{badExample(err)}
	}
	r := &trial{t: t, ctx: ctx, seen: map[Position]bool{}, steps: 2 * t.limits.Steps}
	r.try("", example)
	uses := t.usesOf(example)
	lists := listsIn(uses)
	r.tryListSizes(example, lists)
	none := r.copy(example)
	for _, u := range uses {
		if r.stopped() {
			break
		}
		r.tryValues(u, example)
		r.edit(none, r.stepsTo(u.at), func(any) (any, bool) { return nil, false })
	}
	r.try(whenAllAbsent, none)
	if r.stopped() && len(r.findings) <= maxFindings {
		r.findings = append(r.findings, r.limitFinding())
	}
	return r.findings
}

// whenAllAbsent is a variation that no event has. Every text is then empty, which is no finding.
const whenAllAbsent = "when every path is absent"

type trial struct {
	t        *Template
	ctx      context.Context
	seen     map[Position]bool
	steps    int // left for renders, and for the nodes of the variations
	findings []Finding
}

// stopped reports whether the trial is to end early.
func (r *trial) stopped() bool {
	return r.steps <= 0 || len(r.findings) >= maxFindings || r.ctx.Err() != nil
}

// limitFinding says why the trial ended early.
func (r *trial) limitFinding() Finding {
	f := Finding{Position: r.t.lines.at(0), Kind: KindLimit, Message: "the trial ended before every variation was tried"}
	switch {
	case r.ctx.Err() != nil:
		f.Kind, f.Message = KindContext, f.Message+": it was cancelled"
	case len(r.findings) >= maxFindings:
		f.Message += ": there are too many findings"
	default:
		f.Message += ": it took too many steps"
	}
	return f
}

// tryListSizes tries the lists with 0, 1 and 2 elements, each for itself and all together.
func (r *trial) tryListSizes(example any, lists []*pathNode) {
	long := r.copy(example)
	for _, l := range lists {
		if !r.stopped() {
			r.resize(long, r.stepsTo(l), 2)
		}
	}
	for n, size := range []string{"empty", "one element long", "two elements long"} {
		all := r.copy(example)
		for _, l := range lists {
			if r.stopped() {
				return
			}
			steps := r.stepsTo(l)
			r.resize(all, steps, n)
			name := excerpt(l.String()) + " is " + size
			for _, base := range []struct {
				when string
				tree any
			}{{"when " + name, example}, {"when " + name + " and the other lists have two elements", long}} {
				tree := r.copy(base.tree)
				r.resize(tree, steps, n)
				r.try(base.when, tree)
			}
		}
		r.try("when all lists are "+size, all)
	}
}

// tryValues tries the example with one path absent, and with other values where it decides something.
func (r *trial) tryValues(u use, example any) {
	if u.at.parent == nil || u.at.name == elements {
		return
	}
	name := excerpt(u.at.String())
	set := func(when string, f func(any) (any, bool)) {
		tree := r.copy(example)
		if r.edit(tree, r.stepsTo(u.at), f) {
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
	case !u.printed && u.comparedWith != nil:
		set("equals what it is compared with", func(any) (any, bool) { return u.comparedWith.literal, true })
	}
}

// try renders one variation and notes what fails.
func (r *trial) try(when string, data any) {
	if r.stopped() {
		return
	}
	steps := min(r.steps, r.t.limits.Steps)
	out, used, err := r.t.render(r.ctx, nil, data, steps)
	r.steps -= used + 1
	var f Finding
	var notJSON *JSONError
	var render *RenderError
	switch {
	case errors.As(err, &notJSON):
		r.steps -= used // to find the place, it was rendered again
		f = Finding{Position: notJSON.Position, Kind: notJSON.Kind, Message: notJSON.Message, Hint: notJSON.Hint}
	case errors.As(err, &render):
		if render.Kind == KindContext || render.Kind == KindSteps && steps < r.t.limits.Steps {
			r.steps = 0
			return
		}
		f = Finding{Position: render.Position, Kind: render.Kind, Message: render.Message, Hint: render.Hint}
	case (r.t.mode == Text || r.t.mode == Slack) && when != whenAllAbsent && len(r.t.code) > 0 && isBlankText(out):
		f = Finding{Position: r.t.lines.at(r.t.code[0].pos), Kind: KindEmpty, Message: "the text is empty",
			Hint: "write some of it outside of blocks and values, or give a value with default"}
	default:
		return
	}
	if err != nil {
		r.steps -= len(r.t.lines.text) / bytesPerStep // counting the characters before the place
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

func isBlankText(text []byte) bool { return len(bytes.TrimSpace(text)) == 0 }

// usesOf returns the distinct uses of data, with lists distinguished from objects by the example.
func (t *Template) usesOf(example any) []use {
	type kind struct {
		at           *pathNode
		comparedWith string
		condition    bool
	}
	var uses []use
	seen := map[kind]bool{}
	t.walk((*shape)(nil).add(example), func(u use) {
		if u.arg.isLoopVariable() {
			return
		}
		k := kind{at: u.at, condition: u.in.op != opValue && u.printed}
		if u.comparedWith != nil {
			k.comparedWith, _ = scalarText(u.comparedWith.literal)
		}
		if !seen[k] {
			seen[k] = true
			u.scopes = nil // the walk goes on to use them
			uses = append(uses, u)
		}
	})
	return uses
}

// listsIn returns the paths of the lists that the uses read or go through, sorted.
func listsIn(uses []use) []*pathNode {
	var lists []*pathNode
	seen, known := map[*pathNode]bool{}, map[*pathNode]bool{}
	add := func(n *pathNode) {
		if !known[n] {
			known[n] = true
			lists = append(lists, n)
		}
	}
	for _, u := range uses {
		if u.shape != nil && u.shape.list {
			add(u.at)
		}
		for at := u.at; at.parent != nil && !seen[at]; at = at.parent {
			seen[at] = true
			if at.name == elements {
				add(at.parent)
			}
		}
	}
	slices.SortStableFunc(lists, func(a, b *pathNode) int { return strings.Compare(a.String(), b.String()) })
	return lists
}

// stepsTo returns the names on the way to n; to build them costs steps.
func (r *trial) stepsTo(n *pathNode) []string {
	steps := n.steps()
	r.steps -= len(steps)
	return steps
}

// resize gives the lists at a path n elements, repeating the last one they have.
func (r *trial) resize(tree any, steps []string, n int) {
	r.edit(tree, steps, func(v any) (any, bool) {
		list, ok := v.([]any)
		if !ok || len(list) == 0 && n > 0 {
			return v, true
		}
		for len(list) > 0 && len(list) < n && !r.stopped() {
			list = append(list, r.copy(list[len(list)-1]))
		}
		n := min(n, len(list))
		return list[:n:n], true
	})
}

// edit replaces the values at a path by what f returns, or removes them; it reports whether there was a place for one.
func (r *trial) edit(tree any, steps []string, f func(any) (any, bool)) bool {
	if r.steps--; len(steps) == 0 || r.steps < 0 {
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
				done = r.edit(c[k], steps[1:], f) || done
			} else if v, keep := f(c[k]); keep {
				c[k], done = v, true
			} else {
				delete(c, k)
				done = true
			}
		}
	case []any:
		index := listIndex(steps[0])
		for i, e := range c {
			if steps[0] != elements && index != i {
				continue
			}
			if !last {
				done = r.edit(e, steps[1:], f) || done
			} else {
				c[i], _ = f(e)
				done = true
			}
		}
	}
	return done
}

// copy copies lists and objects; each node costs a step, and without steps nothing is copied.
func (r *trial) copy(v any) any {
	if r.steps--; r.steps < 0 {
		return nil
	}
	switch v := v.(type) {
	case map[string]any:
		c := make(map[string]any, len(v))
		for k, e := range v {
			c[k] = r.copy(e)
		}
		return c
	case []any:
		c := make([]any, len(v))
		for i, e := range v {
			c[i] = r.copy(e)
		}
		return c
	}
	return v
}
