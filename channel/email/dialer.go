package email

import (
	"context"
	"crypto/tls"
	"errors"
	"net/netip"
	"net/textproto"

	"github.com/wneessen/go-mail/smtp"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/channel/netguard"
)

// dialer opens sessions with a relay.
type dialer struct {
	guard      *netguard.Guard
	host       string
	address    string // host:port
	mode       TLSMode
	tls        *tls.Config
	auth       Auth
	plaintext  bool // AllowPlaintextAuth
	hello      string
	unverified bool
}

// newDialer takes a Config with its defaults filled in, and the name by which we introduce ourselves.
func newDialer(c *Config, hello string) (*dialer, error) {
	r := c.Relay
	d := &dialer{guard: c.Guard, mode: r.Mode, auth: r.Auth, plaintext: r.AllowPlaintextAuth, hello: hello, unverified: r.TLS.InsecureSkipVerify}
	host, err := netguard.ParseHost("Relay.Host", r.Host)
	d.host, d.address = host, joinPort(host, r.Port)
	config, tlsErr := r.TLS.Config()
	if config != nil && config.ServerName == "" {
		config.ServerName = host
	}
	d.tls = config
	return d, errors.Join(channel.ConfigErrorsAt(err, pkg, ""), channel.ConfigErrorsAt(tlsErr, pkg, "Relay.TLS"), r.validate())
}

func (d *dialer) warning() string {
	if d.unverified {
		return ", certificates are not verified"
	}
	return ""
}

// open connects and logs in. The session is bound to ctx: when that is done before unbind, it is closed.
func (d *dialer) open(ctx context.Context, credential string) (*session, *failure) {
	conn, err := d.guard.DialContext(ctx, "tcp", d.address)
	if err != nil {
		return nil, &failure{stage: StageConnect, err: err}
	}
	s := &session{conn: &cappedConn{Conn: conn}, credential: credential}
	s.bind(ctx)
	if f := d.negotiate(ctx, s); f != nil {
		s.close()
		return nil, f
	}
	return s, nil
}

// negotiate brings a new connection to the point where mail can be sent.
func (d *dialer) negotiate(ctx context.Context, s *session) *failure {
	conn := &replyConn{Conn: s.conn}
	if d.mode == TLSImplicit {
		encrypted, f := d.handshake(ctx, s, conn)
		if f != nil {
			return f
		}
		encrypted.greeting = "" // that of the relay
		conn = encrypted
	}
	if f := d.greet(s, conn); f != nil {
		return f
	}
	if f := d.startTLS(ctx, s, conn); f != nil {
		return f
	}
	return d.authenticate(s)
}

// greet reads the greeting and introduces us.
func (d *dialer) greet(s *session, conn *replyConn) *failure {
	var err error
	if s.client, err = smtp.NewClient(conn, d.host); err != nil {
		return &failure{stage: StageGreeting, err: err}
	}
	s.client.SkipSMTPUTF8(true) // nothing we send needs it
	conn.setFolding(true)
	defer conn.setFolding(false)
	if err := s.client.Hello(d.hello); err != nil {
		return &failure{stage: StageHello, err: err}
	}
	return nil
}

// handshake begins TLS.
func (d *dialer) handshake(ctx context.Context, s *session, conn *replyConn) (*replyConn, *failure) {
	secure, encrypted := conn.encrypt(d.tls)
	if err := encrypted.HandshakeContext(ctx); err != nil {
		return nil, &failure{stage: StageTLS, err: err}
	}
	s.encrypted = true
	return secure, nil
}

// startTLS sends STARTTLS as the mode says. What a relay said of itself in clear is not believed afterwards.
func (d *dialer) startTLS(ctx context.Context, s *session, conn *replyConn) *failure {
	if d.mode != TLSRequired && d.mode != TLSOpportunistic {
		return nil
	}
	if offered, _ := s.client.Extension("STARTTLS"); !offered {
		if d.mode == TLSRequired {
			return &failure{stage: StageTLS, kind: KindNoTLS}
		}
		return nil
	}
	if err := s.command(220, "STARTTLS"); err != nil {
		if d.mode == TLSOpportunistic && errors.As(err, new(*textproto.Error)) {
			return nil // the relay has said no, and goes on in clear
		}
		return &failure{stage: StageTLS, err: err}
	}
	secure, f := d.handshake(ctx, s, conn)
	if f != nil {
		return f
	}
	return d.greet(s, secure)
}

func (d *dialer) authenticate(s *session) *failure {
	if d.auth.mechanism == none {
		return nil
	}
	if !s.encrypted && !d.plaintext {
		return &failure{stage: StageAuth, kind: KindPlaintextAuth}
	}
	_, offered := s.client.Extension("AUTH")
	a := d.auth.smtpAuth(offered, d.host, s.credential)
	if a == nil {
		return &failure{stage: StageAuth, kind: KindNoAuth}
	}
	if err := s.client.Auth(a); err != nil {
		return &failure{stage: StageAuth, err: err}
	}
	return nil
}

// allows reports whether the policy, which may have changed, still allows a session's address.
func (d *dialer) allows(ctx context.Context, s *session) bool {
	remote, err := netip.ParseAddrPort(s.conn.RemoteAddr().String())
	if err != nil || d.guard.CheckHost(d.host) != nil {
		return false
	}
	network := "tcp6"
	if remote.Addr().Is4() {
		network = "tcp4"
	}
	return d.guard.Control(ctx, network, remote.String(), nil) == nil
}
