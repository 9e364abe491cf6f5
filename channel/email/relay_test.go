package email_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// relay is an SMTP server on loopback: it speaks the protocol over real connections, keeps all it was sent, and answers
// as a test wants it to. Set its fields before start.
type relay struct {
	tls      *tls.Config // nil = none
	implicit bool        // TLS from the first byte; else STARTTLS is offered
	hideTLS  bool        // STARTTLS is not offered, as if somebody had removed it
	auth     string      // mechanisms offered, "PLAIN LOGIN"
	extra    []string    // further lines of the answer to EHLO
	user     string
	password string // or token; "" = any
	// answer returns the reply to a step, "" for the usual one, or hang or drop. Steps are the verbs, with GREETING before
	// the first, HANDSHAKE before TLS begins, BODY before a message is read, and MESSAGE after its end. line is what the
	// client said, n counts the step from 1 on this server.
	answer func(step, line string, n int) string

	listener net.Listener
	mu       sync.Mutex
	counts   map[string]int
	lines    []string // what clients said, but for messages, in order of arrival
	mails    []mailbag
	faults   []string // offences against the wire format
	reached  chan string
}

// Special answers.
const (
	hang = "hang" // never answer
	drop = "drop" // close the connection
)

// mailbag is one message that was taken, or all of it that arrived.
type mailbag struct {
	from  string
	to    []string
	data  []byte // without the dots that SMTP adds
	taken bool
	tls   bool
}

// start listens until the test ends.
func (r *relay) start(t *testing.T) *relay {
	t.Helper()
	r.listen(t)
	t.Cleanup(func() { assert.Empty(t, r.wireFaults(), "what went over the wire") })
	return r
}

// listen is start without the check of the wire, for clients that do not get as far as SMTP.
func (r *relay) listen(t testing.TB) {
	t.Helper()
	stop, err := r.serve()
	require.NoError(t, err)
	t.Cleanup(stop)
}

// serve listens until stop is called, which waits for all that was begun.
func (r *relay) serve() (stop func(), err error) {
	if r.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	r.counts, r.reached = make(map[string]int), make(chan string, 1000)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := r.listener.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				defer context.AfterFunc(ctx, func() { conn.Close() })()
				(&conversation{relay: r, conn: conn}).run()
			})
		}
	})
	return func() {
		cancel()
		r.listener.Close()
		wg.Wait()
	}, nil
}

func (r *relay) port() int { return r.listener.Addr().(*net.TCPAddr).Port }

func (r *relay) said() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.lines...)
}

func (r *relay) received() []mailbag {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]mailbag(nil), r.mails...)
}

func (r *relay) wireFaults() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.faults...)
}

// count tells how often a step was reached.
func (r *relay) count(step string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counts[step]
}

// await waits until a step is reached.
func (r *relay) await(t *testing.T, step string) {
	t.Helper()
	for {
		select {
		case got := <-r.reached:
			if got == step {
				return
			}
		case <-t.Context().Done():
			t.Fatalf("%s was not reached", step)
		}
	}
}

// conversation is one connection.
type conversation struct {
	relay     *relay
	conn      net.Conn
	in        *bufio.Reader
	encrypted bool
	loggedIn  bool
	mail      mailbag
}

func (c *conversation) run() {
	if c.relay.tls != nil && c.relay.implicit && !c.handshake() {
		return
	}
	c.in = bufio.NewReader(c.conn)
	if !c.reply("GREETING", "", "220 relay.test ready") {
		return
	}
	for {
		line, ok := c.readLine()
		if !ok {
			return
		}
		c.relay.mu.Lock()
		c.relay.lines = append(c.relay.lines, line)
		c.relay.mu.Unlock()
		verb, rest, _ := strings.Cut(line, " ")
		if verb = strings.ToUpper(verb); !c.obey(verb, rest, line) {
			return
		}
	}
}

// obey carries out one command; false ends the conversation.
func (c *conversation) obey(verb, rest, line string) bool {
	switch verb {
	case "EHLO":
		return c.reply(verb, line, c.extensions())
	case "STARTTLS":
		answer, ok := c.decide(verb, line, "220 go ahead")
		if !ok || !c.write(answer) {
			return false
		}
		if answer[0] != '2' {
			return true
		}
		if !c.handshake() {
			return false
		}
		c.in = bufio.NewReader(c.conn)
		return true
	case "AUTH":
		return c.logIn(rest, line)
	case "MAIL":
		c.mail = mailbag{from: address(rest), tls: c.encrypted}
		return c.reply(verb, line, "250 2.1.0 sender ok")
	case "RCPT":
		answer, ok := c.decide(verb, line, "250 2.1.5 recipient ok")
		if ok && answer[0] == '2' {
			c.mail.to = append(c.mail.to, address(rest))
		}
		return ok && c.write(answer)
	case "DATA":
		answer, ok := c.decide(verb, line, "354 go ahead")
		if !ok || !c.write(answer) {
			return false
		}
		return answer[0] != '3' || c.message()
	case "RSET", "NOOP":
		return c.reply(verb, line, "250 ok")
	case "QUIT":
		c.reply(verb, line, "221 bye")
		return false
	}
	return c.reply(verb, line, "500 what?")
}

func (c *conversation) extensions() string {
	lines := append([]string{"relay.test", "8BITMIME", "SMTPUTF8", "PIPELINING", "ENHANCEDSTATUSCODES"}, c.relay.extra...)
	if c.relay.tls != nil && !c.encrypted && !c.relay.hideTLS {
		lines = append(lines, "STARTTLS")
	}
	if c.relay.auth != "" {
		lines = append(lines, "AUTH "+c.relay.auth)
	}
	return "250-" + strings.Join(lines[:len(lines)-1], "\r\n250-") + "\r\n250 " + lines[len(lines)-1]
}

func (c *conversation) logIn(rest, line string) bool {
	answer, ok := c.decide("AUTH", line, "235 2.7.0 welcome")
	if !ok {
		return false
	}
	mechanism, initial, _ := strings.Cut(rest, " ")
	first := decode(initial)
	good := false
	switch {
	case answer[0] != '2':
		// A reply to a failed log-in that repeats the credential: relays have done that.
		return c.write(answer)
	case mechanism == "PLAIN":
		good = first == "\x00"+c.relay.user+"\x00"+c.relay.password
	case mechanism == "LOGIN":
		user, ok1 := c.challenge("VXNlcm5hbWU6")
		password, ok2 := c.challenge("UGFzc3dvcmQ6")
		good = ok1 && ok2 && user == c.relay.user && password == c.relay.password
	case mechanism == "XOAUTH2":
		good = first == "user="+c.relay.user+"\x01auth=Bearer "+c.relay.password+"\x01\x01"
		if !good {
			c.challenge(base64.StdEncoding.EncodeToString([]byte(`{"status":"401"}`)))
		}
	}
	if !good && c.relay.password != "" {
		return c.write("535 5.7.8 no: " + initial + " " + strings.ReplaceAll(first, "\x00", " "))
	}
	c.loggedIn = true
	return c.write(answer)
}

func (c *conversation) challenge(text string) (string, bool) {
	if !c.write("334 " + text) {
		return "", false
	}
	line, ok := c.readLine()
	return decode(line), ok
}

func decode(s string) string {
	b, _ := base64.StdEncoding.DecodeString(s)
	return string(b)
}

// message reads what follows DATA.
func (c *conversation) message() bool {
	if answer, ok := c.decide("BODY", "", "go on"); !ok || answer == "" {
		return false
	}
	for {
		line, ok := c.readLine()
		if !ok {
			return false
		}
		if line == "." {
			break
		}
		c.mail.data = append(c.mail.data, strings.TrimPrefix(line, ".")+"\r\n"...)
	}
	answer, ok := c.decide("MESSAGE", "", "250 2.0.0 queued as 4F2A")
	c.mail.taken = ok && answer[0] == '2'
	c.relay.mu.Lock()
	c.relay.mails = append(c.relay.mails, c.mail)
	c.relay.mu.Unlock()
	c.mail = mailbag{from: c.mail.from, tls: c.encrypted}
	return ok && c.write(answer)
}

// decide asks the test for the reply to a step. false ends the conversation.
func (c *conversation) decide(step, line, usual string) (string, bool) {
	r := c.relay
	r.mu.Lock()
	r.counts[step]++
	n := r.counts[step]
	r.mu.Unlock()
	answer := ""
	if r.answer != nil {
		answer = r.answer(step, line, n)
	}
	select {
	case r.reached <- step:
	default:
	}
	switch answer {
	case "":
		return usual, true
	case hang:
		io.Copy(io.Discard, c.conn) // until the client gives up or the server is stopped
		return "", false
	case drop:
		return "", false
	}
	return answer, true
}

func (c *conversation) reply(step, line, usual string) bool {
	answer, ok := c.decide(step, line, usual)
	return ok && c.write(answer)
}

func (c *conversation) write(answer string) bool {
	_, err := io.WriteString(c.conn, answer+"\r\n")
	return err == nil
}

func (c *conversation) handshake() bool {
	if _, ok := c.decide("HANDSHAKE", "", "go on"); !ok {
		return false
	}
	encrypted := tls.Server(c.conn, c.relay.tls)
	if encrypted.Handshake() != nil {
		return false
	}
	c.conn, c.encrypted = encrypted, true
	return true
}

// readLine reads a line and checks the bytes as they came.
func (c *conversation) readLine() (string, bool) {
	raw, err := c.in.ReadBytes('\n')
	if err != nil {
		return "", false
	}
	body, ended := bytes.CutSuffix(raw, []byte("\r\n"))
	fault := ""
	switch {
	case !ended:
		fault = "a bare LF"
	case bytes.IndexByte(body, '\r') >= 0:
		fault = "a bare CR"
	case len(body) > 998:
		fault = fmt.Sprintf("a line of %d bytes", len(body))
	case bytes.ContainsFunc(body, func(r rune) bool { return r != '\t' && (r < ' ' || r > '~') }):
		fault = "a byte that is not printable ASCII"
	}
	if fault != "" {
		c.relay.mu.Lock()
		c.relay.faults = append(c.relay.faults, fmt.Sprintf("%s in %.100q", fault, raw))
		c.relay.mu.Unlock()
	}
	return string(body), true
}

// address is what stands between the angle brackets of MAIL and RCPT.
func address(rest string) string {
	_, rest, _ = strings.Cut(rest, "<")
	a, _, _ := strings.Cut(rest, ">")
	return a
}
