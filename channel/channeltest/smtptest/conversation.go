package smtptest

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/tocsin-go/tocsin/channel/email"
)

// conversation is one connection.
type conversation struct {
	server    *Server
	conn      net.Conn
	in        *bufio.Reader
	encrypted bool
	loggedIn  bool
	begun     bool // MAIL was accepted
	mail      Mail
}

// readSize is more than the longest line.
const readSize = 4096

func (c *conversation) run() {
	if c.server.options.Mode == email.TLSImplicit && !c.handshake() {
		return
	}
	c.in = bufio.NewReaderSize(c.conn, readSize)
	if !c.reply(Command{Step: StepGreeting}, "220 smtptest ready") {
		return
	}
	for {
		line, ok := c.readLine()
		if !ok {
			return
		}
		c.server.state.Lock()
		c.server.commands = append(c.server.commands, line)
		c.server.state.Unlock()
		verb, rest, _ := strings.Cut(line, " ")
		if !c.obey(Command{Step: Step(strings.ToUpper(verb)), Line: line}, rest) {
			return
		}
	}
}

// obey carries out one command; false ends the conversation.
func (c *conversation) obey(command Command, rest string) bool {
	switch command.Step {
	case StepHello:
		c.begun = false
		return c.reply(command, c.extensions())
	case "HELO":
		c.begun = false
		return c.reply(command, "250 smtptest")
	case StepStartTLS:
		return c.startTLS(command)
	case StepAuth:
		return c.logIn(command, rest)
	case StepMail:
		return c.begin(command, rest)
	case StepRcpt:
		return c.addRecipient(command, rest)
	case StepData:
		return c.receive(command)
	case StepReset:
		c.begun = false
		return c.reply(command, "250 2.0.0 ok")
	case "NOOP":
		return c.reply(command, "250 2.0.0 ok")
	case StepQuit:
		c.reply(command, "221 2.0.0 bye")
		return false
	case StepGreeting, StepHandshake, StepBody, StepMessage, StepMalformed:
		return c.write("502 5.5.1 not implemented") // a word of the test's is no command
	}
	return c.reply(command, "502 5.5.1 not implemented")
}

// offersTLS reports whether STARTTLS is possible now.
func (c *conversation) offersTLS() bool {
	return c.server.options.Mode != email.TLSNone && !c.encrypted
}

func (c *conversation) extensions() Reply {
	o := c.server.options
	lines := append([]string{"smtptest", "8BITMIME", "SMTPUTF8", "PIPELINING", "ENHANCEDSTATUSCODES"}, o.Extensions...)
	if c.offersTLS() {
		lines = append(lines, "STARTTLS")
	}
	if o.Auth != "" {
		lines = append(lines, "AUTH "+o.Auth)
	}
	last := len(lines) - 1
	return Reply("250-" + strings.Join(lines[:last], "\r\n250-") + "\r\n250 " + lines[last])
}

func (c *conversation) startTLS(command Command) bool {
	if !c.offersTLS() {
		return c.reply(command, "502 5.5.1 not offered")
	}
	reply, ok := c.decide(command, "220 2.0.0 go ahead")
	if !ok || !c.write(reply) {
		return false
	}
	if !positive(reply) {
		return true
	}
	if !c.handshake() {
		return false
	}
	c.in, c.begun = bufio.NewReaderSize(c.conn, readSize), false // what came in clear means nothing any more
	return true
}

func (c *conversation) handshake() bool {
	if _, ok := c.decide(Command{Step: StepHandshake}, Usual); !ok {
		return false
	}
	encrypted := tls.Server(c.conn, c.server.options.TLS)
	if encrypted.HandshakeContext(c.server.loopback.Context) != nil {
		return false
	}
	c.conn, c.encrypted = encrypted, true
	return true
}

// begin is the command MAIL.
func (c *conversation) begin(command Command, rest string) bool {
	command.Address = inBrackets(rest)
	usual := Reply("250 2.1.0 sender ok")
	if o := c.server.options; o.Auth != "" && o.Password != "" && !c.loggedIn {
		usual = "530 5.7.0 authentication required"
	}
	reply, ok := c.decide(command, usual)
	c.begun = ok && positive(reply)
	c.mail = Mail{From: command.Address, TLS: c.encrypted}
	return ok && c.write(reply)
}

// addRecipient is the command RCPT.
func (c *conversation) addRecipient(command Command, rest string) bool {
	command.Address = inBrackets(rest)
	usual := Reply("250 2.1.5 recipient ok")
	if !c.begun {
		usual = "503 5.5.1 MAIL comes first"
	}
	reply, ok := c.decide(command, usual)
	if ok && positive(reply) {
		c.mail.To = append(c.mail.To, command.Address)
	}
	return ok && c.write(reply)
}

// receive is the command DATA, and what follows it.
func (c *conversation) receive(command Command) bool {
	usual := Reply("354 go ahead")
	switch {
	case !c.begun:
		usual = "503 5.5.1 MAIL comes first"
	case len(c.mail.To) == 0:
		usual = "554 5.5.1 no valid recipients"
	}
	reply, ok := c.decide(command, usual)
	if !ok || !c.write(reply) {
		return false
	}
	if !strings.HasPrefix(string(reply), "3") {
		return true
	}
	if _, ok := c.decide(Command{Step: StepBody}, Usual); !ok {
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
		c.mail.Data = append(c.mail.Data, strings.TrimPrefix(line, ".")+"\r\n"...)
	}
	reply, ok = c.decide(Command{Step: StepMessage}, "250 2.0.0 queued")
	if ok && positive(reply) {
		c.server.take(c.mail)
	}
	c.begun = false
	return ok && c.write(reply)
}

// take keeps a mail.
func (s *Server) take(m Mail) {
	s.state.Lock()
	defer s.state.Unlock()
	s.mails = append(s.mails, m)
	s.state.Broadcast()
}

// logIn is the command AUTH. The answer to a wrong credential repeats it, because some servers do: nothing of that may
// get into errors and logs.
func (c *conversation) logIn(command Command, rest string) bool {
	o := c.server.options
	usual := Reply("235 2.7.0 welcome")
	mechanism, initial, _ := strings.Cut(rest, " ")
	mechanism = strings.ToUpper(mechanism)
	if !slices.Contains(strings.Fields(strings.ToUpper(o.Auth)), mechanism) {
		usual = "504 5.5.4 not offered"
	}
	reply, ok := c.decide(command, usual)
	if !ok {
		return false
	}
	if !positive(reply) {
		return c.write(reply)
	}
	if initial == "" && mechanism != "LOGIN" {
		if initial, ok = c.challenge(""); !ok {
			return false
		}
	}
	first, good := decoded(initial), false
	switch mechanism {
	case "PLAIN":
		good = first == "\x00"+o.User+"\x00"+o.Password
	case "LOGIN":
		user, ok1 := c.challenge("Username:")
		password, ok2 := c.challenge("Password:")
		if !ok1 || !ok2 {
			return false
		}
		first = decoded(user) + " " + decoded(password)
		good = first == o.User+" "+o.Password
	case "XOAUTH2":
		good = first == "user="+o.User+"\x01auth=Bearer "+o.Password+"\x01\x01"
		if !good && o.Password != "" {
			if _, ok := c.challenge(`{"status":"401"}`); !ok {
				return false
			}
		}
	}
	if !good && o.Password != "" {
		return c.write(Reply("535 5.7.8 refused: " + initial + " " + printable(first)))
	}
	c.loggedIn = true
	return c.write(reply)
}

// challenge asks for a part of the credential and returns it as it came.
func (c *conversation) challenge(text string) (string, bool) {
	if !c.write(Reply("334 " + base64.StdEncoding.EncodeToString([]byte(text)))) {
		return "", false
	}
	return c.readLine()
}

func decoded(s string) string {
	b, _ := base64.StdEncoding.DecodeString(s)
	return string(b)
}

// printable returns s with blanks in place of control characters.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}

// decide returns the reply to a step; false ends the conversation.
func (c *conversation) decide(command Command, usual Reply) (Reply, bool) {
	switch reply := c.server.decide(command); reply {
	case Usual:
		return usual, true
	case Hang:
		_, _ = io.Copy(io.Discard, c.conn) // until the client gives up or the Server is closed
		return "", false
	case Drop:
		return "", false
	default:
		return reply, true
	}
}

func (c *conversation) reply(command Command, usual Reply) bool {
	reply, ok := c.decide(command, usual)
	return ok && c.write(reply)
}

func (c *conversation) write(reply Reply) bool {
	_, err := io.WriteString(c.conn, string(reply)+"\r\n")
	return err == nil
}

// positive reports whether a reply says that a command was carried out.
func positive(reply Reply) bool { return strings.HasPrefix(string(reply), "2") }

// maxLine is the most bytes of a line without its CRLF (RFC 5321, section 4.5.3.1.6).
const maxLine = 998

// readLine reads a line and refuses one that SMTP forbids.
func (c *conversation) readLine() (string, bool) {
	raw, err := c.in.ReadSlice('\n')
	if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
		return "", false
	}
	line, ended := bytes.CutSuffix(raw, []byte("\r\n"))
	fault := ""
	switch {
	case len(line) > maxLine:
		fault = fmt.Sprintf("more than %d bytes", maxLine)
	case !ended:
		fault = "a bare LF"
	case bytes.IndexByte(line, '\r') >= 0:
		fault = "a bare CR"
	case bytes.IndexByte(line, 0) >= 0:
		fault = "NUL"
	}
	if fault == "" {
		return string(line), true
	}
	if c.reply(Command{Step: StepMalformed, Line: string(line)}, Reply("521 5.5.2 malformed line: "+fault)) {
		c.finish()
	}
	return "", false
}

// finish sends no more and reads until the client has seen that, so that it is not cut off from the last reply.
func (c *conversation) finish() {
	if half, ok := c.conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_, _ = io.Copy(io.Discard, c.conn)
	}
}

// inBrackets returns the address of "FROM:<address>".
func inBrackets(s string) string {
	_, s, _ = strings.Cut(s, "<")
	address, _, _ := strings.Cut(s, ">")
	return address
}
