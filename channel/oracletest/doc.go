// Package oracletest holds tests only: other people's implementations judge ours. It is a module of its own so that
// their dependencies are nobody else's.
package oracletest
