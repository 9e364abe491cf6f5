package history

import "time"

// Retention says what is kept. A field's zero value removes nothing, and so does a negative number. The tenant of an
// entry is its route's; routes without a tenant count as those of one tenant, and so do those of AnyTenant.
type Retention struct {
	Before        time.Time // entries whose Time is before it are removed
	TenantEntries int       // most entries of one tenant: its oldest beyond them are removed
	TenantBytes   int64     // most bytes of one tenant's entries, by Entry.Size: its oldest beyond them are removed
	// Entries is the most in all. As long as there are more, the tenant with the most loses its oldest; which one, if
	// several have as many, is the store's choice. So no tenant loses entries to another one that has more.
	Entries int
}

// Shares says what tenants that have these numbers of entries, in descending order, keep when keep are left in all:
// each of them up to share, and the first extra one more.
func Shares(descending []int, keep int) (share, extra int) {
	rest := 0 // what the others have
	for _, n := range descending {
		rest += n
	}
	for i, n := range descending {
		rest -= n
		share, extra = (keep-rest)/(i+1), (keep-rest)%(i+1)
		if keep >= rest && (i+1 == len(descending) || share >= descending[i+1]) {
			break
		}
	}
	return share, extra
}

// added counts entries since a removal, to tell when the next one is due: when there may be a tenth more than are kept.
type added struct {
	entries int
	tenants map[string]tenantAdded
	full    bool // it is due
}

type tenantAdded struct {
	entries int
	bytes   int64
}

func (a *added) count(o *Options, tenant string, size int64) {
	if a.tenants == nil {
		a.tenants = map[string]tenantAdded{}
	}
	t := a.tenants[tenant]
	t.entries, t.bytes = t.entries+1, t.bytes+size
	a.entries, a.tenants[tenant] = a.entries+1, t
	a.full = a.full || o.Entries > 0 && a.entries >= max(o.Entries/10, 1) ||
		o.TenantEntries > 0 && t.entries >= max(o.TenantEntries/10, 1) || o.TenantBytes > 0 && t.bytes >= max(o.TenantBytes/10, 1)
}
