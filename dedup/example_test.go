package dedup_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tocsin-go/tocsin/dedup"
)

// A repeat within the window is skipped; a failure is not held against the next attempt.
func ExampleOnce() {
	ctx := context.Background()
	store := dedup.NewMemory(dedup.MemoryOptions{})
	options := dedup.Options{Window: 2 * time.Hour, Lease: time.Minute}
	key := dedup.Key([]byte("tenant"), []byte("slack-oncall"), []byte("request.approved"), []byte(`{"id":"r-1"}`))

	attempts := 0
	send := func(context.Context) error {
		attempts++
		if attempts == 1 {
			return errors.New("503 from the receiver")
		}
		return nil
	}
	for range 3 {
		skipped, err := dedup.Once(ctx, store, key, options, send)
		fmt.Println(skipped, err)
	}
	// Output:
	// false 503 from the receiver
	// false <nil>
	// true <nil>
}

// Somebody else is at it: come back when their claim must have ended.
func ExampleInFlightError() {
	ctx := context.Background()
	store := dedup.NewMemory(dedup.MemoryOptions{})
	_, err := store.Claim(ctx, "key", time.Minute)
	fmt.Println(err)
	_, err = dedup.Once(ctx, store, "key", dedup.Options{}, func(context.Context) error { return nil })

	var inFlight *dedup.InFlightError
	if errors.As(err, &inFlight) {
		fmt.Println("try again in a minute at most:", inFlight.Remaining <= time.Minute)
	}
	// Output:
	// <nil>
	// try again in a minute at most: true
}

// Parts keep their borders.
func ExampleKey() {
	fmt.Println(dedup.Key([]byte("ab"), []byte("c")) == dedup.Key([]byte("a"), []byte("bc")))
	fmt.Println(len(dedup.Key([]byte("ab"), []byte("c"))))
	// Output:
	// false
	// 43
}

// The calls that Once makes, for code that cannot be put into one function.
func ExampleStore() {
	ctx := context.Background()
	var store dedup.Store = dedup.NewMemory(dedup.MemoryOptions{})

	claim, err := store.Claim(ctx, "key", time.Minute)
	fmt.Println(claim.State, err)
	fmt.Println(store.Commit(ctx, "key", claim.Token, time.Hour))
	again, err := store.Claim(ctx, "key", time.Minute)
	fmt.Println(again.State, err)
	fmt.Println(store.Release(ctx, "key", claim.Token))
	// Output:
	// acquired <nil>
	// <nil>
	// done <nil>
	// dedup: the claim is no longer held by this token
}
