package smtptest

// Step is a point of a conversation at which the server answers. That of a command is its verb in upper case, also of
// those without a constant.
type Step string

// The steps, with the usual reply.
const (
	StepGreeting  Step = "GREETING"  // a client has connected: 220
	StepHello     Step = "EHLO"      // 250 and what the server offers
	StepStartTLS  Step = "STARTTLS"  // 220
	StepHandshake Step = "HANDSHAKE" // TLS is about to begin; only Hang and Drop can be answered
	StepAuth      Step = "AUTH"      // 235 for the right credential, 535 with the wrong one in it for another
	StepMail      Step = "MAIL"      // the sender: 250
	StepRcpt      Step = "RCPT"      // a recipient: 250
	StepData      Step = "DATA"      // 354
	StepBody      Step = "BODY"      // the mail is about to come; only Hang and Drop can be answered
	StepMessage   Step = "MESSAGE"   // the mail is here: 250, and the mail is taken
	StepReset     Step = "RSET"      // 250
	StepQuit      Step = "QUIT"      // 221
	// StepMalformed is a line that SMTP forbids: it holds a bare CR, a bare LF or NUL, or more than 998 bytes. 521, and
	// the connection is closed.
	StepMalformed Step = "MALFORMED"
)

// Reply is what the server answers at a step: a line such as "450 4.2.0 greylisted", several with CRLF between them, or
// one of the constants. It is sent as it is, also if it is no SMTP.
type Reply string

// The special replies.
const (
	Usual Reply = ""     // as if the test had said nothing
	Hang  Reply = "hang" // never answer; the connection stays open until the client or the Server closes it
	Drop  Reply = "drop" // close the connection
)

// Command is a step that a client has reached.
type Command struct {
	Step    Step
	N       int    // how often the step was reached on this Server, from 1
	Line    string // what the client said; "" where that is no line
	Address string // of MAIL and RCPT
}

// Script appends replies to those for the next times a step is reached. Each time uses up one; without replies left,
// the step is answered by Handle's function, or as usual, and so it is for Usual.
func (s *Server) Script(step Step, replies ...Reply) {
	s.answers.Script(func(c Command) bool { return c.Step == step }, replies...)
}

// Handle sets a function that answers every step from now on, but for those that Script answers. It is called by
// several goroutines at a time if there are several connections. nil = as usual.
func (s *Server) Handle(f func(Command) Reply) { s.answers.Handle(f) }

// decide returns the reply to a step.
func (s *Server) decide(c Command) Reply {
	s.state.Lock()
	s.counts[c.Step]++
	c.N = s.counts[c.Step]
	reply := s.answers.Take(c)
	s.state.Broadcast()
	s.state.Unlock()
	return reply()
}
