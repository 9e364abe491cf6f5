// Package apitest has the API of package manage judged by third-party code: kin-openapi, which checks every exchange of
// that package's tests against the OpenAPI document. It is a module of its own, so that nobody's go.mod gets that.
package apitest
