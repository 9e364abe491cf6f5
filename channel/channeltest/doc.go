// Package channeltest helps to test code that uses or implements channel.Channel: [Recorder] is a fake destination for
// tests of dispatching code, [Run] is the conformance suite for an own channel, and [RunLeaks] checks that none of its
// credentials comes out of it.
package channeltest
