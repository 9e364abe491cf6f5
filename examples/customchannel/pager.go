package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-go/tocsin/channel"
	"github.com/tocsin-go/tocsin/retry"
)

// Pager is a channel of our own: it pages through an on-call gateway, one line of TCP per event. The gateway answers
// "OK id", "BUSY seconds", "GONE" or "NO reason".
type Pager struct{ Addr string }

var _ channel.Channel = Pager{}

// Send makes one attempt and says what its failure means; the dispatcher does the rest.
func (p Pager) Send(ctx context.Context, d channel.Delivery) (channel.Receipt, error) {
	began := time.Now()
	answer, err := p.ask(ctx, fmt.Sprintf("PAGE %s %s\n", d.ID(), d.Event.Type()))
	receipt := channel.Receipt{Duration: time.Since(began)}
	if err != nil {
		return receipt, err // not marked: transient, try again
	}
	word, rest, _ := strings.Cut(answer, " ")
	switch word {
	case "OK":
		receipt.ProviderID = rest
		return receipt, nil
	case "BUSY":
		seconds, _ := strconv.Atoi(rest)
		return receipt, retry.Throttle(errors.New("pager is busy"), time.Duration(seconds)*time.Second)
	case "GONE":
		return receipt, retry.Permanent(fmt.Errorf("pager: %w", channel.ErrGone))
	case "NO":
		return receipt, retry.Permanent(errors.New("pager refused the page"))
	}
	return receipt, errors.New("pager: answer not understood")
}

// ask writes one line and reads one, and ends with ctx wherever it is.
func (p Pager) ask(ctx context.Context, line string) (string, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", p.Addr)
	if err != nil {
		return "", failure(ctx, "connect")
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if _, err := conn.Write([]byte(line)); err != nil {
		return "", failure(ctx, "write")
	}
	answer := bufio.NewScanner(conn)
	answer.Buffer(make([]byte, 1024), 1024)
	if !answer.Scan() {
		return "", failure(ctx, "read")
	}
	return answer.Text(), nil
}

// failure builds the error from what we know instead of wrapping the library's, which may print more than it should.
func failure(ctx context.Context, step string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("pager: %s: %w", step, err)
	}
	return fmt.Errorf("pager: %s failed", step)
}
