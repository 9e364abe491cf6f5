package netguard

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const connectTimeout = 10 * time.Second

// Guard makes connections and checks the address of each, after name resolution and for every address tried, with its
// current [Profile]. Safe for concurrent use. Tenants with different profiles need a Guard each. The zero Guard has the
// zero Profile and the system's resolver.
type Guard struct {
	profile  atomic.Pointer[Profile]
	resolver *net.Resolver

	mu    sync.Mutex
	pools map[poolKey]*pool
}

// New makes a Guard. A nil resolver is the system's. The error is that of [Profile.Validate].
func New(p Profile, resolver *net.Resolver) (*Guard, error) {
	g := &Guard{resolver: resolver}
	if err := g.SetProfile(p); err != nil {
		return nil, err
	}
	return g, nil
}

// Profile returns the current profile.
func (g *Guard) Profile() Profile {
	p := *g.policy()
	p.Private = append([]netip.Prefix(nil), p.Private...)
	return p
}

func (g *Guard) policy() *Profile {
	if p := g.profile.Load(); p != nil {
		return p
	}
	return &Profile{}
}

// SetProfile changes the policy at once: connections made from now on are checked by p, idle ones are closed, and those
// in use are closed when their request is done. On error, that of [Profile.Validate], nothing changes.
func (g *Guard) SetProfile(p Profile) error {
	if err := p.Validate(); err != nil {
		return err
	}
	p.Private = append([]netip.Prefix(nil), p.Private...)
	g.profile.Store(&p)
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, pool := range g.pools {
		pool.invalidate()
	}
	return nil
}

// CheckHost refuses what can be refused without resolving: IP addresses, names of metadata services, and localhost.
// Other names pass. The error is a *BlockedError. Use it to inform a user early; connections are checked anyway.
func (g *Guard) CheckHost(host string) error {
	if refusal := g.refuseHost(host); refusal != nil {
		return refusal
	}
	return nil
}

func (g *Guard) refuseHost(host string) *BlockedError {
	p := g.policy()
	if isMetadataName(host) && !p.DangerouslyAllowMetadata {
		return blocked(host, "name of a metadata service")
	}
	if isLoopbackName(host) && !p.Loopback {
		return blocked(host, "name of this machine")
	}
	if a, err := netip.ParseAddr(host); err == nil {
		if why := p.refuses(a); why != "" {
			return blocked(host, a.String()+": "+why)
		}
	}
	return nil
}

// Control checks one socket address. It has the form of [net.Dialer.ControlContext], for hosts that must
// bring their own dialer; only "tcp4" and "tcp6" and numeric addresses pass. The error is a *BlockedError.
func (g *Guard) Control(ctx context.Context, network, address string, _ syscall.RawConn) error {
	d, _ := ctx.Value(attemptKey{}).(*attempt)
	refuse := func(why string) error {
		e := blocked("", network+" "+address+": "+why)
		if d != nil {
			e.Host, e.resolved = d.host, isName(d.host)
		}
		return e
	}
	if network != "tcp4" && network != "tcp6" {
		return refuse("not a TCP network")
	}
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return refuse("not an address and port")
	}
	if a.Port() == 0 {
		return refuse("port 0")
	}
	if why := g.policy().refuses(a.Addr()); why != "" {
		return refuse(why)
	}
	if d != nil {
		d.allowed.Store(true)
	}
	return nil
}

// DialContext connects to host:port within 10 seconds, name resolution included, or until ctx ends. It is what channels
// that do not speak HTTP use. network is "tcp", "tcp4" or "tcp6". The error is an *Error.
func (g *Guard) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return g.dial(ctx, network, address, connectTimeout)
}

// attempt is one attempt to connect, for Control.
type attempt struct {
	host    string
	allowed atomic.Bool // at least one address was
}

type attemptKey struct{}

func (g *Guard) dial(ctx context.Context, network, address string, limit time.Duration) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = ""
	}
	fail := func(refusal *BlockedError) (net.Conn, error) { return nil, refused(address, refusal) }
	if network != "tcp" && network != "tcp4" && network != "tcp6" {
		return fail(blocked(host, network+": not a TCP network"))
	}
	if refusal := g.refuseHost(host); refusal != nil {
		return fail(refusal)
	}
	d := &attempt{host: host}
	dialer := net.Dialer{Timeout: limit, Resolver: g.resolver, ControlContext: g.Control}
	start := time.Now()
	conn, err := dialer.DialContext(context.WithValue(ctx, attemptKey{}, d), network, address)
	if err == nil {
		return conn, nil
	}
	if refusal, ok := errors.AsType[*BlockedError](err); ok && !d.allowed.Load() {
		return fail(refusal)
	}
	return nil, dialError(ctx, address, host, err, time.Since(start) >= limit)
}

// isName reports whether host has to be resolved.
func isName(host string) bool {
	_, err := netip.ParseAddr(host)
	return host != "" && err != nil
}
