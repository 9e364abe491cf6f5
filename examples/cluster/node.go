package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const nodeName = "n%d" // of a server, with its number

// node is one server of the cluster: "number client-ports cluster-ports directory", ports separated by commas.
func node(args []string) error {
	number, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	clients, routePorts := strings.Split(args[1], ","), strings.Split(args[2], ",")
	port, err := strconv.Atoi(clients[number])
	if err != nil {
		return err
	}
	routePort, err := strconv.Atoi(routePorts[number])
	if err != nil {
		return err
	}
	o := &server.Options{
		ServerName: fmt.Sprintf(nodeName, number), Host: "127.0.0.1", Port: port, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: args[3],
		Cluster: server.ClusterOpts{Name: "example", Host: "127.0.0.1", Port: routePort},
	}
	for _, p := range routePorts {
		o.Routes = append(o.Routes, server.RoutesFromStr("nats://127.0.0.1:"+p)...)
	}
	s, err := server.NewServer(o)
	if err != nil {
		return err
	}
	s.Start()
	defer s.WaitForShutdown()
	defer s.Shutdown()
	for deadline := time.Now().Add(30 * time.Second); !s.JetStreamIsCurrent(); {
		if time.Now().After(deadline) {
			return fmt.Errorf("server %d: the cluster has no leader", number)
		}
		<-time.After(20 * time.Millisecond)
	}
	ready()
	parent()
	return nil
}

// freePorts finds ports nobody listens at, below those the system gives to connections.
func freePorts(n int) ([]string, error) {
	var ports []string
	for range 1000 {
		port := strconv.Itoa(10_000 + rand.IntN(20_000)) //nolint:gosec // where to listen is no secret
		l, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			continue
		}
		defer l.Close() // not before all are found, or one could be found twice
		if ports = append(ports, port); len(ports) == n {
			return ports, nil
		}
	}
	return nil, errors.New("no free ports")
}
