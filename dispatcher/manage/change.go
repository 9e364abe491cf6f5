package manage

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-go/tocsin/channel/secret"
	"github.com/tocsin-go/tocsin/dispatcher/config"
	"github.com/tocsin-go/tocsin/event"
)

// payloadOf makes the payload of an event of the library's own.
func payloadOf(t event.Type, c event.ConfigChange) event.Payload {
	switch t {
	case event.TypeChannelCreated:
		return event.ChannelCreated{ConfigChange: c}
	case event.TypeChannelDeleted:
		return event.ChannelDeleted{ConfigChange: c}
	case event.TypeChannelEnabled:
		return event.ChannelEnabled{ConfigChange: c}
	case event.TypeChannelSwitchedOff:
		return event.ChannelSwitchedOff{ConfigChange: c}
	case event.TypeChannelPaused:
		return event.ChannelPaused{ConfigChange: c}
	case event.TypeChannelTested:
		return event.ChannelTested{ConfigChange: c}
	case event.TypeSecretRotated:
		return event.SecretRotated{ConfigChange: c}
	case event.TypeConfigImported:
		return event.ConfigImported{ConfigChange: c}
	case event.TypeConfigBroken:
		return event.ConfigBroken{ConfigChange: c}
	case event.TypeDeadRedelivered:
		return event.DeadRedelivered{ConfigChange: c}
	case event.TypeDeadDiscarded:
		return event.DeadDiscarded{ConfigChange: c}
	default:
		return event.ChannelUpdated{ConfigChange: c}
	}
}

// tell dispatches that somebody did something that changed no document.
func (s *Service) tell(ctx context.Context, tenant string, t event.Type, c event.ConfigChange) {
	e, err := event.New(payloadOf(t, c), event.Meta{Tenant: tenant})
	if err == nil {
		err = s.engine.Dispatch(context.WithoutCancel(ctx), e)
	}
	if err != nil {
		s.options.Logger.Error("tocsin: an action could not be told", "tenant", tenant, "type", string(t), "error", err)
	}
}

// eventOf makes the event of a stored change: the same each time.
func (c change) eventOf(tenant string, stored Revision) (event.Event, error) {
	revision := c.Revision
	if revision == 0 {
		revision = stored
	}
	sum := sha256.Sum256([]byte("tocsin.change\x00" + strconv.FormatUint(uint64(revision), 10) + "\x00" + tenant))
	told := c.ConfigChange
	told.Revision = int64(revision)
	return event.New(payloadOf(c.Type, told), event.Meta{ID: hex.EncodeToString(sum[:16]), Tenant: tenant, Time: c.At})
}

// untold lists the stored changes whose events may not have been dispatched.
func (v *view) untold() []change {
	if v.content == nil || v.told {
		return nil
	}
	return v.content.Changes
}

// removed lists the routes whose lanes may not be empty.
func (v *view) removed() []string {
	if v.content == nil {
		return nil
	}
	return v.content.Removed
}

// announce does what the stored changes have left to do: it dispatches their events and empties the lanes of removed
// routes. The next change, or a comparison with the store, then takes them out of there. Called with the room's lock
// held.
func (s *Service) announce(ctx context.Context, r *room) {
	v := r.view.Load()
	ctx = context.WithoutCancel(ctx)
	for _, c := range v.untold() {
		e, err := c.eventOf(r.tenant, v.applied)
		if err == nil {
			err = s.engine.Dispatch(ctx, e)
		}
		if err != nil {
			s.options.Logger.Error("tocsin: a change could not be told", "tenant", r.tenant, "revision", uint64(v.applied), "error", err)
			return
		}
	}
	if err := s.emptyLanes(ctx, r.tenant, v.removed()); err != nil {
		s.options.Logger.Warn("tocsin: what waits for removed routes could not be removed", "tenant", r.tenant, "error", err)
		return
	}
	told := *v
	told.told = v.isUnfinished()
	r.show(&told)
}

// isUnfinished reports whether stored changes have something left to do, or to be taken out of the store.
func (v *view) isUnfinished() bool {
	return v.content != nil && len(v.content.Changes)+len(v.content.Removed) > 0
}

// isSettled reports whether the changes were told, and so long ago that all processes have them in force.
func (v *view) isSettled(now time.Time) bool {
	return v.told && !slices.ContainsFunc(v.content.Changes, func(c change) bool { return now.Sub(c.At) < compareEvery })
}

// forgetSettled empties the lanes of removed routes again, in which a process that followed late may have queued
// something, and removes settled changes from the store. Called with the room's lock held.
func (s *Service) forgetSettled(ctx context.Context, r *room) {
	v := r.view.Load()
	if !v.isSettled(time.Now()) {
		return
	}
	if err := s.emptyLanes(ctx, r.tenant, v.removed()); err == nil {
		s.forget(ctx, r, nil)
	}
}

// forget removes the changes that were told from the store, and leaves these removed routes in it. Called with the
// room's lock held.
func (s *Service) forget(ctx context.Context, r *room, removed []string) {
	v := r.view.Load()
	if !v.told || v.revision != v.applied {
		return
	}
	c := *v.content
	c.Changes, c.Removed = nil, removed
	_, c.Revision = v.revisions()
	revision, err := s.put(ctx, r.tenant, c.encode(), v.revision)
	if err != nil {
		return // somebody else has changed the document, or a later comparison does it
	}
	next := *v
	next.revision, next.applied, next.content, next.told = revision, revision, &c, false
	r.show(&next)
}

// forgetAll is forget for all tenants, so that the next process tells nothing again. That empties lanes once more.
func (s *Service) forgetAll(ctx context.Context) {
	ctx, cancel := s.call(ctx)
	defer cancel()
	for _, tenant := range s.known() {
		r := s.room(tenant)
		if !r.view.Load().told || r.acquire(ctx) != nil {
			continue
		}
		s.forget(ctx, r, r.view.Load().removed())
		r.release()
	}
}

// abandoned is how old a stored change is whose process has not told it, or not removed it.
const abandoned = 2*compareEvery + time.Minute

// isAbandoned reports whether there is a change that another process should have removed by now.
func (v *view) isAbandoned(now time.Time) bool {
	return v.content != nil && !v.told && slices.ContainsFunc(v.content.Changes, func(c change) bool { return now.Sub(c.At) > abandoned })
}

// Limits of what a change lists, which is stored beside the document and is an event.
const (
	maxDifferences = 100  // fields
	maxDifference  = 1000 // characters of a field, before and after
)

// differences lists what an edit changed, without secrets.
func differences(before, after *config.Document, e *edit) []event.FieldChange {
	d := differ{}
	if e.channel == "" {
		d.renewed = after.Changed(before)
		d.compare("", tree(before.JSON()), tree(after.JSON()), nil)
	} else {
		name := e.channel
		if e.renamed != "" {
			name = e.renamed
		}
		d.compare("", partsOf(before, e.channel).tree(), partsOf(after, name).tree(), e.posted)
	}
	if len(d.all) > maxDifferences {
		d.all = append(d.all[:maxDifferences], event.FieldChange{Path: "", After: fmt.Sprintf("and %d more", len(d.all)-maxDifferences)})
	}
	return d.all
}

func (p parts) tree() any {
	if p.channel == nil {
		return nil
	}
	all := map[string]any{"channel": tree(p.channel)}
	routes := map[string]any{}
	for i, r := range p.routes {
		routes[p.names[i]] = tree(r)
	}
	if len(routes) > 0 {
		all["routes"] = routes
	}
	return all
}

// tree decodes JSON.
func tree(text []byte) any {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	_ = d.Decode(&v) // it is what we wrote, or was read before
	return v
}

type differ struct {
	all     []event.FieldChange
	renewed []string // paths whose values changed, also if they are shown as before
}

// compare lists where before and after differ, and where they are the same but posted gave a secret.
func (d *differ) compare(path string, before, after, posted any) {
	switch a := after.(type) {
	case map[string]any:
		b, _ := before.(map[string]any)
		if b == nil && before != nil {
			break
		}
		p, _ := posted.(map[string]any)
		names := slices.Sorted(maps.Keys(a))
		for name := range b {
			if _, ok := a[name]; !ok {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		for _, name := range names {
			d.compare(strings.TrimPrefix(path+"."+name, "."), b[name], a[name], p[name])
		}
		return
	case []any:
		b, isList := before.([]any)
		if !isList && before != nil {
			break
		}
		p, _ := posted.([]any)
		for i := range max(len(a), len(b)) {
			d.compare(fmt.Sprintf("%s[%d]", path, i), at(b, i), at(a, i), at(p, i))
		}
		return
	case nil:
		if b, ok := before.(map[string]any); ok {
			for _, name := range slices.Sorted(maps.Keys(b)) {
				d.compare(strings.TrimPrefix(path+"."+name, "."), b[name], nil, nil)
			}
			return
		}
	}
	was, is := shown(before), shown(after)
	given, isText := posted.(string)
	switch {
	case was != is:
		d.all = append(d.all, event.FieldChange{Path: path, Before: clipped(was, maxDifference), After: clipped(is, maxDifference)})
	case strings.Contains(is, secret.Redacted) && (isText && given != is || slices.Contains(d.renewed, path)):
		d.all = append(d.all, event.FieldChange{Path: path, Before: clipped(was, maxDifference), After: "changed"})
	}
}

func at(list []any, i int) any {
	if i < len(list) {
		return list[i]
	}
	return nil
}

// shown writes a value as text, or as JSON; "" = there is none.
func shown(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	default:
		text, _ := json.Marshal(v)
		return string(text)
	}
}
