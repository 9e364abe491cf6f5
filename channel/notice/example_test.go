package notice_test

import (
	"fmt"

	"github.com/tocsin-go/tocsin/channel/notice"
	"github.com/tocsin-go/tocsin/event"
)

func ExampleOf() {
	e, _ := event.Sample(event.TypeRequestPending)
	n := notice.Of(e)
	fmt.Println(n.Severity, n.Phase, n.Status)
	fmt.Print(n.Text())
	// Output:
	// warning opens Pending
	// Access request AR-2047 waits for approval
	//
	// Priya Nair asks for Payments troubleshooting for 4 hours: INC-48213: orders are charged twice, need to compare them with the payment export
	//
	// Requester: Priya Nair (priya.nair@example.com)
	// Access: Payments troubleshooting
	// Resources: Read only on orders-production/shop/orders
	//   Read only on orders-production/shop/payments
	//   Get objects on AWS production/payment-exports
	// Justification: INC-48213: orders are charged twice, need to compare them with the payment export
	// Duration: 4 hours
	// Until: 2023-10-02 20:22 UTC
	// Approved by: Tomás Ferreira (Manager)
	// Waiting for: Payments data owner
	// Access flow: Production data, on-call engineers
	// When: 2023-10-02 16:14 UTC
	//
	// Open request: https://access.example.com/requests/AR-2047
}

func ExampleTruncate() {
	fmt.Println(notice.Truncate("Access to the production database", 20))
	fmt.Println(notice.Truncate("short", 20))
	// Output:
	// Access to the produ…
	// short
}
