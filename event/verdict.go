package event

// verdict is what a filter says about one event, or about all events of one type.
type verdict struct {
	may   bool // at least one of them matches
	must  bool // all of them match
	named bool // a pattern names their type, one of the library's own, and they may match
}

func certain(match bool) verdict { return verdict{may: match, must: match} }

// passes is the rule for the library's own events: matching is not enough, they must be named.
func (v verdict) passes(t Type) bool { return v.may && (v.named || !t.own()) }

// judge evaluates f for the event e of type t; for all events of type t when e is zero.
func (f Filter) judge(t Type, e Event) verdict {
	n := f.n
	if n == nil {
		return certain(true)
	}
	switch n.op {
	case opTypes:
		return n.judgeType(t)
	case opAttribute:
		if e.p == nil {
			return verdict{may: true}
		}
		value, _ := e.Attribute(n.name)
		return certain(value != "")
	case opWhere:
		if e.p == nil {
			return verdict{may: true}
		}
		return certain(n.accepts(e))
	case opAll:
		return n.judgeAll(t, e)
	case opAny:
		return n.judgeAny(t, e)
	default:
		v := n.parts[0].judge(t, e)
		return verdict{may: !v.must, must: !v.may}
	}
}

func (n *node) judgeType(t Type) verdict {
	v := certain(false)
	for _, p := range n.patterns {
		if p.match(t) {
			v = verdict{may: true, must: true, named: v.named || p.own()}
		}
	}
	return v
}

func (n *node) judgeAll(t Type, e Event) verdict {
	v := certain(true)
	for _, part := range n.parts {
		w := part.judge(t, e)
		if !w.may {
			return certain(false)
		}
		v = verdict{may: true, must: v.must && w.must, named: v.named || w.named}
	}
	return v
}

func (n *node) judgeAny(t Type, e Event) verdict {
	v := certain(false)
	for _, part := range n.parts {
		w := part.judge(t, e)
		v = verdict{may: v.may || w.may, must: v.must || w.must, named: v.named || w.named}
		if v.must && v.passes(t) {
			return v
		}
	}
	return v
}
