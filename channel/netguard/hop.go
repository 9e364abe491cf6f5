package netguard

import (
	"bufio"
	"context"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/url"

	"github.com/tocsin-go/tocsin/channel/secret"
)

// hop is a proxy on the way of one exchange; nil is none.
type hop struct {
	url      *url.URL     // with the credentials, if there are any
	password secret.Value // from which they are
}

// key tells which connections may carry a request to u. One to a proxy serves every host, unless it holds a tunnel.
func (h *hop) key(u *url.URL) connKey {
	switch {
	case h == nil:
		return connKey{scheme: u.Scheme, host: u.Host}
	case u.Scheme == "http":
		return connKey{proxy: h.url.String(), scheme: u.Scheme}
	}
	return connKey{proxy: h.url.String(), scheme: u.Scheme, host: u.Host}
}

// authorization returns the value of Proxy-Authorization, "" if there is none.
func (h *hop) authorization() string {
	if h.url.User == nil {
		return ""
	}
	password, _ := h.url.User.Password()
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(h.url.User.Username()+":"+password))
}

// authorize returns req as it is sent to the proxy; one for a tunnel's other end stays as it is.
func (h *hop) authorize(req *http.Request) *http.Request {
	credentials := h.authorization()
	if req.URL.Scheme != "http" || credentials == "" {
		return req
	}
	r := *req
	r.Header = req.Header.Clone()
	r.Header.Set("Proxy-Authorization", credentials)
	return &r
}

// tunnel has the proxy connect conn to target. The error is an *Error.
func (h *hop) tunnel(ctx context.Context, conn net.Conn, target string, limits Timeouts) error {
	limited, cancel := context.WithTimeout(ctx, limits.Header)
	defer cancel()
	stop := context.AfterFunc(limited, func() { _ = conn.Close() })
	defer stop()
	req := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: target}, Host: target, Header: http.Header{"User-Agent": {""}}}
	if credentials := h.authorization(); credentials != "" {
		req.Header.Set("Proxy-Authorization", credentials)
	}
	err := req.Write(conn)
	var resp *http.Response
	if err == nil {
		resp, err = http.ReadResponse(bufio.NewReader(io.LimitReader(conn, maxResponseHeader)), req) //nolint:bodyclose // the answer to CONNECT has none
	}
	switch {
	case ctx.Err() != nil:
		return Classify(ctx, "", "", ctx.Err(), false)
	case err != nil:
		return &Error{Kind: KindProxy, reason: "it did not answer properly"}
	case resp.StatusCode == http.StatusProxyAuthRequired:
		return h.unauthorized()
	case resp.StatusCode != http.StatusOK:
		return &Error{Kind: KindProxy, reason: "it refused the destination"}
	}
	return nil
}

// unauthorized is the error of a proxy that refuses the credentials. They may have been rotated since they were read.
func (h *hop) unauthorized() *Error {
	h.password.Expire()
	return &Error{Kind: KindProxy, reason: "it wants other credentials"}
}

// address returns host:port of u, with the port of its scheme if it names none.
func address(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = "443"
		if u.Scheme == "http" {
			port = "80"
		}
	}
	return net.JoinHostPort(u.Hostname(), port)
}
