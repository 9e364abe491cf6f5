// Package oracletest holds tests only: a third-party JSON Schema validator judges the schemas and samples of package
// event. It is a module of its own, so that the validator is no dependency of the library.
package oracletest
