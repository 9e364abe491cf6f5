package email

// Stage says how far a conversation with a relay had come.
type Stage string

// The stages, in their order.
const (
	StageConnect  Stage = "connect"
	StageGreeting Stage = "greeting"
	StageHello    Stage = "EHLO"
	StageTLS      Stage = "TLS" // before the greeting with TLSImplicit
	StageAuth     Stage = "AUTH"
	StageMail     Stage = "MAIL"
	StageRcpt     Stage = "RCPT"
	StageData     Stage = "DATA"
	StageMessage  Stage = "message" // sent to its end; the relay's answer is awaited
)

// aboutMail tells whether a reply is about this mail, and so may quote what is in it, and not about us and the relay.
func (s Stage) aboutMail() bool { return s == StageRcpt || s == StageData || s == StageMessage }
