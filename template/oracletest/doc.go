// Package oracletest compares package template with other template engines. It is a module of its own, because
// raymond's root package and its YAML reader are not to be dependencies of the library. It has tests and benchmarks
// only.
package oracletest
