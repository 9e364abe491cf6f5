package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
)

const (
	roleVariable = "PEERBENCH_ROLE" // gives a child process another task
	receiverRole = "receiver"
)

// receiver is an HTTP receiver in a process of its own, so that its work is not measured as the sender's.
type receiver struct {
	url   string
	child *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
}

func startReceiver() (*receiver, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	r := &receiver{child: exec.Command(program)}
	r.child.Env = append(os.Environ(), roleVariable+"="+receiverRole)
	r.child.Stderr = os.Stderr
	if r.in, err = r.child.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := r.child.StdoutPipe()
	if err != nil {
		return nil, err
	}
	r.out = bufio.NewReader(out)
	if err := r.child.Start(); err != nil {
		return nil, err
	}
	address, err := r.line()
	if err != nil {
		return nil, errors.Join(err, r.close())
	}
	r.url = "http://" + address
	return r, nil
}

func (r *receiver) line() (string, error) {
	line, err := r.out.ReadString('\n')
	return strings.TrimSpace(line), err
}

// counts asks how many connections it has accepted and how many requests it has answered.
func (r *receiver) counts() (connections, requests int, err error) {
	if _, err := io.WriteString(r.in, "?\n"); err != nil {
		return 0, 0, err
	}
	line, err := r.line()
	if err != nil {
		return 0, 0, err
	}
	first, second, _ := strings.Cut(line, " ")
	connections, err1 := strconv.Atoi(first)
	requests, err2 := strconv.Atoi(second)
	return connections, requests, errors.Join(err1, err2)
}

func (r *receiver) close() error { return errors.Join(r.in.Close(), r.child.Wait()) }

// receive is the child's part: it writes its address, answers every request with 200 and a small body, as most
// receivers do, and answers each line of its input with its counts, until that ends. It does as little as possible,
// because it shares the processors with the sender.
func receive(stdin io.Reader, stdout io.Writer) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	var connections, requests atomic.Int64
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			go answer(conn, &requests)
		}
	}()
	if _, err := fmt.Fprintln(stdout, listener.Addr()); err != nil {
		return err
	}
	for questions := bufio.NewScanner(stdin); questions.Scan(); {
		if _, err := fmt.Fprintln(stdout, connections.Load(), requests.Load()); err != nil {
			return err
		}
	}
	return nil
}

func answer(conn net.Conn, requests *atomic.Int64) {
	defer conn.Close()
	const ok = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{\"ok\":true}"
	in := bufio.NewReaderSize(conn, 16<<10)
	for {
		request, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, request.Body); err != nil {
			return
		}
		requests.Add(1)
		if _, err := io.WriteString(conn, ok); err != nil {
			return
		}
	}
}
