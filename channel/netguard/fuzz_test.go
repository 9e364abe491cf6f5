package netguard

import (
	"net"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/idna"
)

// Whatever is passed, Control gives a verdict, and allows nothing that its parsed form does not allow.
func FuzzControl(f *testing.F) {
	for _, c := range addressTable {
		f.Add("tcp4", c.addr+":80")
		f.Add("tcp6", "["+c.addr+"]:443")
	}
	for _, s := range []string{"", ":", "[::1%lo]:80", "0x7f.1:80", "127.0.0.1:0", "[::ffff:127.0.0.1]:1", "1.1.1.1:http"} {
		f.Add("tcp", s)
		f.Add("unix", s)
	}
	g, err := New(Profile{}, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, network, address string) {
		err := g.Control(t.Context(), network, address, nil)
		_ = g.CheckHost(address)
		if err != nil {
			return
		}
		if network != "tcp4" && network != "tcp6" {
			t.Fatalf("network %q passes", network)
		}
		host, port, splitErr := net.SplitHostPort(address)
		a, parseErr := netip.ParseAddr(host)
		if splitErr != nil || parseErr != nil || port == "" {
			t.Fatalf("%q passes without being an address", address)
		}
		a = a.Unmap()
		if a.Zone() != "" || a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified() || !a.IsGlobalUnicast() {
			t.Fatalf("%s passes", a)
		}
	})
}

// What ParseURL accepts is accepted by net/url with the same parts, is stable, and sends no surprise over the wire.
func FuzzParseURL(f *testing.F) {
	for _, c := range urlTable {
		f.Add(c.raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := ParseURL("url", raw, Limits{AllowInsecureHTTP: true})
		if err != nil {
			if len(raw) > 12 && strings.Contains(err.Error(), raw) {
				t.Fatalf("the error holds the URL: %v", err)
			}
			return
		}
		again, err := ParseURL("url", u.String(), Limits{AllowInsecureHTTP: true})
		if err != nil {
			if len(u.String()) > maxURL { // escaping makes it longer
				return
			}
			t.Fatalf("%q gave %q, which is refused: %v", raw, u, err)
		}
		if *again != *u {
			t.Fatalf("%q is not stable: %#v, %#v", raw, u, again)
		}
		parsed, err := url.Parse(u.String())
		if err != nil || parsed.Host != u.Host || parsed.Scheme != u.Scheme || parsed.User != nil || parsed.RequestURI() != u.RequestURI() || parsed.Fragment != "" {
			t.Fatalf("%q is read differently by net/url: %#v, %#v, %v", raw, u, parsed, err)
		}
		for _, c := range []byte(u.Scheme + u.Host + u.RequestURI()) {
			if c <= ' ' || c >= 0x7F || c == '\\' || c == '"' {
				t.Fatalf("%q sends %q", raw, c)
			}
		}
		if host := strings.TrimSuffix(u.Hostname(), "."); strings.Trim(host, "0123456789.") == "" || strings.HasPrefix(host[strings.LastIndexByte(host, '.')+1:], "0x") {
			if _, err := netip.ParseAddr(host); err != nil {
				t.Fatalf("%q has the ambiguous host %q", raw, host)
			}
		}
	})
}

// What ParseHost accepts is what IDNA's Lookup profile makes of it, but for underscores, for hyphens and for a dot at
// the end.
func FuzzParseHost(f *testing.F) {
	for _, c := range urlTable {
		host, _, _ := strings.Cut(strings.TrimPrefix(c.raw, "https://"), "/")
		f.Add(host)
	}
	f.Add("a.\u00ad")
	f.Add("0a.\u05d0")
	f.Fuzz(func(t *testing.T, raw string) {
		host, err := ParseHost("host", raw)
		if err != nil || strings.Contains(host, ":") {
			return
		}
		if again, err := ParseHost("host", host); err != nil || again != host {
			t.Fatalf("%q gave %q, which gives %q, %v", raw, host, again, err)
		}
		if strings.Trim(host, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "" {
			t.Fatalf("%q gave %q", raw, host)
		}
		if want, err := idna.Lookup.ToASCII(raw); err == nil && want != host {
			t.Fatalf("%q gave %q, and IDNA has %q", raw, host, want)
		} else if err != nil && !strings.Contains(host, "_") && !strings.Contains(host, "--") {
			t.Fatalf("%q gave %q, and IDNA has nothing: %v", raw, host, err)
		}
	})
}
