package outbox

// page is what a feed reads at a time.
type page struct {
	rows  []row
	bytes int
}

func (p *page) add(r row) {
	p.rows = append(p.rows, r)
	p.bytes += len(r.body)
}

// full reports whether there may be more rows than those of the page.
func (p *page) full() bool { return len(p.rows) >= maxRows || p.bytes >= maxBytes }
