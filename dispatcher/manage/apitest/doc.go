// Package apitest has tests of package manage that need more than its module has: kin-openapi judges every exchange of
// that package's tests by the OpenAPI document, and a service with a SQLite queue is killed while it works. It is a
// module of its own, so that nobody's go.mod gets what they need.
package apitest
