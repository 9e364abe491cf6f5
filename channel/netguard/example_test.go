package netguard_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/tocsin-go/tocsin/channel/netguard"
)

func ExampleParseURL() {
	u, err := netguard.ParseURL("url", "https://Bücher.example/hook?q=a b", netguard.Limits{})
	fmt.Println(u, err)
	u, err = netguard.ParseURL("url", "https://Bücher.example/hook?q=a'b", netguard.Limits{})
	fmt.Println(u, err)
	_, err = netguard.ParseURL("url", "https://example.com:8443/hook", netguard.Limits{Ports: []int{443}})
	fmt.Println(err)
	// Output:
	// <nil> url has a space at character 32; remove it, or write %20
	// https://xn--bcher-kva.example/hook?q=a%27b <nil>
	// url uses a port that is not allowed; use port 443
}

// A Client refuses to connect to a cloud's metadata service, whatever name leads there.
func ExampleGuard_Client() {
	guard, err := netguard.New(netguard.PrivateNetworks(), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err := guard.Client(netguard.ClientOptions{Limits: netguard.Limits{AllowInsecureHTTP: true}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://169.254.169.254/latest/meta-data/", strings.NewReader("{}"))
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = client.RoundTrip(req)
	var failure *netguard.Error
	if errors.As(err, &failure) {
		fmt.Println(failure.Kind, errors.Is(err, netguard.ErrDestinationBlocked))
		fmt.Println(failure)
	}
	// Output:
	// blocked true
	// POST http://169.254.169.254: destination 169.254.169.254 is not allowed by the outbound policy
}
