package managetest

// rule is one promise of manage.Documents.
type rule struct {
	name  string
	text  string
	needs func(s Suite) (reason string) // why it does not apply; nil = it always does
	check func(p *probe)
}

func rules() []rule {
	return []rule{
		{"unknown", "a tenant without a document is ErrNotFound, before the first and after Delete", nil, unknownRule},
		{"create", "of many who create a document at once, one succeeds; the others get *ConflictError with its revision", nil, createRule},
		{"stale", "another expected revision than the stored one is *ConflictError with that, and changes nothing", nil, staleRule},
		{"revisions", "a tenant's revisions grow with each change, also over Delete and a later Put", nil, revisionsRule},
		{"own-writes", "what a call has written, each later call sees", nil, ownWritesRule},
		{"bytes", "content comes back byte for byte, belongs to the caller, and was the caller's before", nil, bytesRule},
		{"tenants", "a tenant is any text of 1 to 255 bytes, and no two of them meet; other texts are *TenantError", nil, tenantsRule},
		{"list", "a walk by List is sorted, and has everybody once who has a document throughout", nil, listRule},
		{"watch", "Watch tells the latest of each tenant's changes, and never an older one after a newer one", nil, watchRule},
		{"watch-delete", "Watch tells deletions, with their revisions", nil, watchDeleteRule},
		{"watch-slow", "who does not read a Watch delays nobody, and gets each tenant's latest in the end", nil, watchSlowRule},
		{"watch-cut", "after a cut a Watch goes on with what it missed, or says Resync", needsNetwork, watchCutRule},
		{"context", "with ctx done a call returns its error; ErrUnchanged is true, and other errors are not more than unknown", nil, contextRule},
		{"kill", "after kill -9 the old document is stored or the new one, whole, and what was acknowledged", needsProcess, killRule},
		{"size", "content of the stated size is stored; above that it is *SizeError, and nothing changes", nil, sizeRule},
		{"errors", "errors contain no content and no credentials", nil, errorsRule},
		{"close", "after Close calls are ErrClosed, channels of Watch are closed, and no goroutine is left", needsClose, closeRule},
		{"processes", "two processes share a store without losing a change, or the second one cannot open it", needsProcess, processesRule},
		{"race", "each of many concurrent edits is made exactly once, beside readers and watchers", nil, raceRule},
	}
}

// run makes the store and checks it, or returns why the rule does not apply.
func (r rule) run(p *probe) (reason string) {
	if r.needs != nil {
		if reason := r.needs(p.s); reason != "" {
			return reason
		}
	}
	r.check(p)
	return ""
}

func needsNetwork(s Suite) string {
	if s.Network == nil {
		return "no network is between store and caller"
	}
	return ""
}

func needsProcess(s Suite) string {
	if s.Process == nil {
		return "the store lives in one process and forgets"
	}
	return ""
}

func needsClose(s Suite) string {
	if s.Close == nil {
		return "the store needs no closing"
	}
	return ""
}
