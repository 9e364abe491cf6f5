// Package oracletest judges the JSON Schema of configuration documents with a validator that is not ours. It is a
// module of its own so that the validator is no dependency of a host.
package oracletest
