package webhook_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// startReceiver runs a receiver in a process of its own, so that its work is not measured as ours. It returns its URL,
// and a function that says how many connections it has accepted.
func startReceiver(b *testing.B) (target string, accepted func() int) {
	b.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(b.Context()), os.Args[0]) // Cleanup runs after the context is done
	cmd.Env = append(os.Environ(), roleVariable+"=receiver")
	in, err := cmd.StdinPipe()
	require.NoError(b, err)
	out, err := cmd.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, cmd.Start())
	b.Cleanup(func() {
		require.NoError(b, in.Close())
		require.NoError(b, cmd.Wait())
	})
	lines := bufio.NewReader(out)
	line := func() string {
		l, err := lines.ReadString('\n')
		require.NoError(b, err)
		return strings.TrimSpace(l)
	}
	return "http://" + line(), func() int {
		_, err := io.WriteString(in, "?\n")
		require.NoError(b, err)
		n, err := strconv.Atoi(line())
		require.NoError(b, err)
		return n
	}
}

// receive is the child's part: it writes its address and answers 200 to everything until its input ends, and writes how
// many connections it has accepted for each line of that. It does as little as possible, because it shares the
// processors with the sender.
func receive(stdin io.Reader, stdout io.Writer) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	var accepted atomic.Int64
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			accepted.Add(1)
			go answerAll(conn)
		}
	}()
	fmt.Fprintln(stdout, l.Addr())
	for questions := bufio.NewScanner(stdin); questions.Scan(); {
		fmt.Fprintln(stdout, accepted.Load())
	}
}

func answerAll(conn net.Conn) {
	defer conn.Close()
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{\"ok\":true}")
	length := []byte("\r\nContent-Length: ")
	buffer := make([]byte, 64<<10)
	have := 0
	for {
		n, err := conn.Read(buffer[have:])
		if err != nil {
			return
		}
		have += n
		head := bytes.Index(buffer[:have], []byte("\r\n\r\n"))
		if head < 0 {
			continue
		}
		at := bytes.Index(buffer[:head+2], length) + len(length)
		digits := bytes.IndexByte(buffer[at:have], '\r')
		size, err := strconv.Atoi(string(buffer[at : at+digits]))
		if err != nil {
			return
		}
		if have < head+4+size {
			continue
		}
		have = 0
		if _, err := conn.Write(answer); err != nil {
			return
		}
	}
}
