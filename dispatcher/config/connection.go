package config

import (
	"cmp"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
)

// The parts that channels over HTTP have in common.

func limitsField() Field {
	return Field{Name: "limits", guards: true, Doc: "Name of the policy that says which URLs, methods and how many headers are allowed: default, apono, beyondtrust_cloud, or one of the host's."}
}

func tlsFields() []Field {
	return []Field{
		{Name: "verify_tls", Kind: Flag, Destination: true, Doc: "Whether the server's certificate is verified. Default: true."},
		{Name: "ca_certificate", Destination: true, Doc: "Certificates in PEM form by which the server is verified, in place of the system's roots."},
	}
}

func tlsOf(s Settings) netguard.TLS {
	return netguard.TLS{InsecureSkipVerify: !s.Flag("verify_tls", true), CAPEM: []byte(s.Text("ca_certificate"))}
}

func timeoutsField(caps Caps) Field {
	return Field{Name: "timeouts", Kind: Object, Doc: "Limits of the phases of an attempt.", Fields: []Field{
		{Name: "connect", Kind: Duration, Min: 1, Longest: caps.Timeout, Doc: "Name resolution and TCP. Default: 10s."},
		{Name: "tls", Kind: Duration, Min: 1, Longest: caps.Timeout, Doc: "The TLS handshake. Default: 10s."},
		{Name: "header", Kind: Duration, Min: 1, Longest: caps.Timeout, Doc: "From the request to the header of the answer. Default: 15s."},
		{Name: "total", Kind: Duration, Min: 1, Longest: caps.Timeout, Doc: "Everything, the answer's body included. Default: 30s."},
	}}
}

func timeoutsOf(s Settings) netguard.Timeouts {
	t := s.Object("timeouts")
	return netguard.Timeouts{Connect: t.Duration("connect"), TLS: t.Duration("tls"), Header: t.Duration("header"), Total: t.Duration("total")}
}

// networks are the guards that documents may name.
func networks(o Options, public *netguard.Guard) map[string]*netguard.Guard {
	all := map[string]*netguard.Guard{defaultNetwork: public}
	for name, g := range o.Networks {
		all[name] = g
	}
	return all
}

// publicGuard allows public addresses only. That of a Set that is replaced keeps its connections.
func publicGuard(o Options) *netguard.Guard {
	if o.Previous != nil && o.Previous.public != nil {
		return o.Previous.public
	}
	return new(netguard.Guard)
}

const (
	defaultNetwork = "public"
	defaultLimits  = "default"
)

// policies are the limits that documents may name.
func policies(o Options) map[string]netguard.Limits {
	all := map[string]netguard.Limits{
		defaultLimits: {},
		// Access-request webhooks in the style of Apono: HTTPS without a port in the URL.
		"apono": {NoExplicitPort: true, Methods: []string{"POST", "PUT", "DELETE"}, MaxHeaders: 10},
		// Outbound events in the style of BeyondTrust's cloud: HTTPS, and port 443 only.
		"beyondtrust_cloud": {Ports: []int{443}, Methods: []string{"POST"}},
	}
	for name, l := range o.Limits {
		all[name] = l
	}
	return all
}

// named finds what a field of a channel names among what the host offers.
func named[T any](p *problems, of *value, field, def string, offered map[string]T) T {
	name := cmp.Or(of.text(field), def)
	found, ok := offered[name]
	if !ok {
		p.report(of.get(field), channel.CodeUnknown, "is not offered by the host", "name one that is"+among(&p.suggester, name, offered))
	}
	return found
}
