package netguard

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-go/tocsin/channel"
)

// ClientCertificate is what we show to servers that ask who we are. Make one with [CertificateFiles] or
// [CertificateFunc]; it is safe for concurrent use and may be shared by channels.
type ClientCertificate struct {
	load func(context.Context) (*tls.Certificate, error)

	// generation counts the changes seen; a Client makes new connections when it changes. nil if they cannot be seen.
	generation func() uint64
	problem    atomic.Pointer[channel.ConfigError]
}

// CertificateFunc is a client certificate that f returns, once now, to validate it, and for every new connection.
// Connections that exist are kept; close them with [Client.CloseIdleConnections] after a change. The key may be held
// elsewhere: PrivateKey need only be a crypto.Signer. The error is a *channel.ConfigError without the text of f's error.
func CertificateFunc(ctx context.Context, f func(context.Context) (tls.Certificate, error)) (*ClientCertificate, error) {
	c := &ClientCertificate{load: func(ctx context.Context) (*tls.Certificate, error) {
		pair, err := f(ctx)
		if err != nil {
			return nil, err
		}
		return &pair, checkPair(&pair)
	}}
	if _, err := c.load(ctx); err != nil {
		return nil, pairError(err)
	}
	return c, nil
}

// CertificateFiles is a client certificate, with its chain, and its key in PEM files. They are looked at again at most
// once a second, when a request is made. After a change new connections are made with the new pair and the old ones are
// closed; as long as the files do not fit together or cannot be read, which is normal in the middle of a change, the
// last good pair is used and Problem says why. The error is a *channel.ConfigError.
func CertificateFiles(certFile, keyFile string) (*ClientCertificate, error) {
	return certificateFromFiles(certFile, keyFile, time.Second)
}

func certificateFromFiles(certFile, keyFile string, every time.Duration) (*ClientCertificate, error) {
	f := &certificateFiles{cert: certFile, key: keyFile, every: every}
	c := &ClientCertificate{}
	f.report = c.problem.Store
	c.load = func(context.Context) (*tls.Certificate, error) { pair, _ := f.current(); return pair, nil }
	c.generation = func() uint64 { _, n := f.current(); return n }
	if f.current(); f.pair == nil {
		return nil, c.problem.Load()
	}
	return c, nil
}

// Problem says why a changed pair of files is not used, as a *channel.ConfigError; nil if all is well.
func (c *ClientCertificate) Problem() error {
	if p := c.problem.Load(); p != nil {
		return p
	}
	return nil
}

// forHandshake is called when a server asks for a certificate, also if there is none: that it asked tells what a
// handshake failure means.
func (c *ClientCertificate) forHandshake(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
	if a, ok := info.Context().Value(askedKey{}).(*asked); ok {
		a.Store(true)
	}
	if c == nil || c.load == nil {
		return &tls.Certificate{}, nil
	}
	pair, err := c.load(info.Context())
	if err != nil {
		return nil, &clientCertError{}
	}
	return pair, nil
}

// asked tells that the server of a handshake asked for a certificate. It goes along in the handshake's context.
type asked struct{ atomic.Bool }

type askedKey struct{}

// clientCertError marks that our own certificate could not be had; the cause might hold anything.
type clientCertError struct{}

func (*clientCertError) Error() string { return "client certificate could not be loaded" }

var errMismatch = errors.New("does not belong to the key")

type certificateFiles struct {
	cert, key string
	every     time.Duration
	report    func(*channel.ConfigError)

	mu    sync.Mutex
	next  time.Time
	infos [2]os.FileInfo
	pair  *tls.Certificate
	count uint64
}

// current returns the last good pair, nil if there never was one, and how often it has changed.
func (f *certificateFiles) current() (*tls.Certificate, uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if now.Before(f.next) {
		return f.pair, f.count
	}
	f.next = now.Add(f.every)
	infos, err := stat(f.cert, f.key)
	if err == nil && f.pair != nil && same(infos[0], f.infos[0]) && same(infos[1], f.infos[1]) {
		f.report(nil)
		return f.pair, f.count
	}
	var pair tls.Certificate
	if err == nil {
		pair, err = tls.LoadX509KeyPair(f.cert, f.key)
	}
	if err != nil {
		f.report(pairError(err))
		return f.pair, f.count
	}
	// The files may have changed again while they were read; infos is from before, so the next look notices.
	f.infos, f.pair = infos, &pair
	f.count++
	f.report(nil)
	return f.pair, f.count
}

func stat(names ...string) (infos [2]os.FileInfo, err error) {
	for i, name := range names {
		if infos[i], err = os.Stat(name); err != nil {
			return infos, err
		}
	}
	return infos, nil
}

func same(a, b os.FileInfo) bool {
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

// checkPair verifies that certificate and key belong together.
func checkPair(pair *tls.Certificate) error {
	if len(pair.Certificate) == 0 || pair.PrivateKey == nil {
		return errMismatch
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return err
	}
	key, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return errMismatch
	}
	if public, ok := leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); !ok || !public.Equal(key.Public()) {
		return errMismatch
	}
	return nil
}

func pairError(err error) *channel.ConfigError {
	reason := "cannot be read, or does not belong to the key"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		reason = "or its key does not exist"
	case errors.Is(err, fs.ErrPermission):
		reason = "or its key may not be read by this process"
	case errors.Is(err, errMismatch):
		reason = errMismatch.Error()
	}
	return mistake(channel.CodeInvalid, "ClientCertificate", reason, "give a certificate and the key it was made for, in PEM form")
}
