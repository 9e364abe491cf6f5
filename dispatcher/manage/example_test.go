package manage_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/tocsin-go/tocsin/dispatcher/manage"
)

// Documents are sealed before they are stored, and replaced only if nobody else has changed them since they were read.
func ExampleSealed() {
	ctx := context.Background()
	store := manage.NewMemory() // or a folder, a file of SQLite, PostgreSQL, NATS
	defer store.Close()

	secret := []byte("32 bytes from a random source...") // from a key service or a secret file
	keys, err := manage.NewKeys("2026-11", map[string][]byte{"2026-11": secret})
	if err != nil {
		fmt.Println(err)
		return
	}
	docs := manage.Sealed(store, keys)

	revision, err := docs.Put(ctx, "acme", manage.Record{Content: []byte("channels: {}")}, 0)
	fmt.Println(revision, err)

	stored, err := docs.Get(ctx, "acme")
	fmt.Printf("%s %v\n", stored.Content, err)

	_, err = docs.Put(ctx, "acme", manage.Record{Content: []byte("channels: {mail: {}}")}, 0)
	if conflict, ok := errors.AsType[*manage.ConflictError](err); ok {
		fmt.Println("somebody else was faster, with revision", conflict.Current)
	}
	// Output:
	// 1 <nil>
	// channels: {} <nil>
	// somebody else was faster, with revision 1
}
