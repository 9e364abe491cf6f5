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
// [Server.Handle] answers by what the client said. Both can refuse for good (550) or for now (450), be silent ([Hang]) or
// close the connection ([Drop]).
//
// Sockets have no place in a testing/synctest bubble: use a channeltest.Recorder there.
package smtptest
