package dispatcher_test

import (
	"fmt"
	"os"
	"time"

	"github.com/tocsin-go/tocsin/dispatcher"
)

func ExampleWriteStatus() {
	at := time.Date(2026, 11, 25, 20, 0, 0, 0, time.UTC)
	all := []dispatcher.RouteStatus{ // from Engine.Status
		{Route: dispatcher.RouteID{Name: "siem"}, Events: "*", LastSuccess: at, P50: 12 * time.Millisecond, P99: 80 * time.Millisecond},
		{Route: dispatcher.RouteID{Tenant: "acme", Name: "tickets"}, Events: "request.*", Queued: 17, FailingSince: at},
	}
	if err := dispatcher.WriteStatus(os.Stdout, all); err != nil {
		fmt.Println(err)
	}
	// Output:
	// ROUTE    TENANT  DESTINATION  EVENTS     STATE    HEALTH                     QUEUED  DEAD  P99   LAST ERROR
	// siem     -       -            *          enabled  OK 11-25 20:00             0       0     80ms  -
	// tickets  acme    -            request.*  enabled  failing since 11-25 20:00  17      0     -     -
}
