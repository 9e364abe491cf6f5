package jsapi

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tocsin-go/tocsin/channel"
)

// Bucket is the stream of a key-value bucket, as the client makes it, with one value for each key.
func Bucket(name, description string, replicas, version int) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: BucketStream(name), Subjects: []string{"$KV." + name + ".>"}, Description: description,
		Storage: jetstream.FileStorage, Replicas: replicas, MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew,
		AllowRollup: true, DenyDelete: true, AllowDirect: true,
		Metadata: map[string]string{VersionKey: strconv.Itoa(version)},
	}
}

// BucketStream is the name of a bucket's stream.
func BucketStream(bucket string) string { return "KV_" + bucket }

// EnsureBucket is EnsureStream for a bucket.
func EnsureBucket(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig) error {
	_, err := EnsureStream(ctx, js, want, func(have, want jetstream.StreamConfig) bool { return have.Replicas == want.Replicas })
	if IsNoJetStream(err) {
		return fmt.Errorf("the NATS servers serve no JetStream to this account: add a jetstream block to their configuration and enable "+
			"it for the account: %w", err)
	}
	return err
}

var bucketName = regexp.MustCompile(`^[a-zA-Z0-9_-]+$`)

// ValidateBucket checks a configuration's Bucket and Replicas. It returns joined *channel.ConfigErrors of a package
// that stores so-called things.
func ValidateBucket(pkg, things, bucket string, replicas int) error {
	var errs []error
	bad := func(path string, code channel.ConfigCode, problem, remedy string) {
		errs = append(errs, &channel.ConfigError{Package: pkg, Path: path, Code: code, Problem: problem, Remedy: remedy})
	}
	if !bucketName.MatchString(bucket) {
		bad("Bucket", channel.CodeInvalid, "has a character that is not allowed", `use letters, digits, "-" and "_"`)
	}
	if !slices.Contains([]int{1, 3, 5}, replicas) {
		code := channel.CodeInvalid
		if replicas == 0 {
			code = channel.CodeMissing
		}
		bad("Replicas", code, "is not 1, 3 or 5", "say on how many servers "+things+" are stored")
	}
	return errors.Join(errs...)
}
