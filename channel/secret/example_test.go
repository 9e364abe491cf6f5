package secret_test

import (
	"context"
	"fmt"

	"github.com/tocsin-go/tocsin/channel/secret"
)

func ExampleURL() {
	u := secret.URL{
		Text:  "https://hooks.example.com/services/{token}",
		Masks: []secret.Mask{{Replacement: "{token}", Value: secret.Literal("T0123/B0456/abcdefgh")}},
	}
	fmt.Println(u.Validate())
	fmt.Println(u)
	called, err := u.Expand(context.Background())
	fmt.Println(called, err)
	// Output:
	// <nil>
	// https://hooks.example.com/services/{token}
	// https://hooks.example.com/services/T0123/B0456/abcdefgh <nil>
}

func ExampleRedactor() {
	r := secret.NewRedactor("correct horse battery staple")
	fmt.Println(r.String("401 bad password: correct+horse%20battery+staple"))
	fmt.Println(r.String("Authorization: Basic YWxpY2U6Y29ycmVjdCBob3JzZSBiYXR0ZXJ5IHN0YXBsZQ=="))
	// Output:
	// 401 bad password: [redacted]
	// Authorization: Basic YWxpY2U[redacted]==
}
