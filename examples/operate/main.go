// Operate loads a YAML document with a route in the style of each of five privileged-access products and runs it
// against receivers on this machine. One of them fails until a contact is told by mail, is mended, and gets what it
// missed; then the status table and the history are printed. Nothing to install, nothing leaves the machine.
package main

import (
	"context"
	"errors"
	"io"
	"log"
	"os"
	"time"

	"github.com/tocsin-go/tocsin/examples/internal/relay"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if _, err := run(ctx, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// run tells the story on out and returns it, for a test to look at what really arrived.
func run(ctx context.Context, out io.Writer) (*story, error) {
	s := &story{out: out, systems: newReceivers(), happened: newNews()}
	defer s.systems.Close()
	var err error
	if s.mailbox, err = relay.New(); err != nil {
		return nil, err
	}
	defer s.mailbox.Close()
	set, err := load(s.systems, s.mailbox)
	if err != nil {
		return nil, err
	}
	defer set.Close()
	if s.operation, err = newOperation(set, s.happened); err != nil {
		return nil, err
	}
	s.start(ctx)
	err = s.tell(ctx)
	if err := errors.Join(err, s.stop(ctx)); err != nil {
		return nil, err
	}
	return s, s.sumUp(ctx)
}
