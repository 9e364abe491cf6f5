// Package smtptest is a mail server on loopback for tests of code that sends mail, with package email or without it. It
// speaks SMTP (RFC 5321) over real connections, in clear or with TLS, asks for a log-in if it is to, takes mail and
// passes none on.
//
//	server := smtptest.Start(t, smtptest.Options{})
//	c := server.Config() // of package email: host, port, certificate and log-in are filled in
//	c.To = []string{"security@example.com"}
//	mail, err := email.New(c)
//	// dispatch an event to a route with this channel
//	err = server.Wait(ctx, 1)
//	received := server.Mails()[0] // From, To, Subject, Text, HTML, …
//
// It takes everything, unless a test says otherwise: [Server.Script] answers the next times a [Step] is reached, and
// [Server.Handle] answers by what the client said. Both can refuse for good (550) or for now (450), be silent ([Hang])
// or close the connection ([Drop]).
//
// A test of retries scripts "451" at [StepMail]: the route's policy says when the next attempt is. After a "450" at
// StepRcpt, StepData or StepMessage, which is how servers put off mail of strangers, package email asks for 5 minutes,
// whatever the policy says.
//
// A configuration document gets Host, Port and Authority as smtp_host, smtp_port and ca_certificate. Its limits have to
// allow the port, and its network loopback.
//
// Sockets have no place in a testing/synctest bubble: use a channeltest.Recorder there.
package smtptest
