// Package manage keeps tenants' configuration documents in a store, edits them channel by channel, and applies them to
// a running engine.
package manage
