// Package secret holds credentials that can be written and used but not read back: values that no formatting verb,
// encoder or logger shows, request headers and URL parts built on them, and a redactor that removes them from text
// which is stored or logged.
//
// Go strings cannot be wiped from memory, and this package does not claim to. A value lives as long as something refers
// to it; one that comes from [Env], [File] or [Func] leaves the cache when it has changed twice.
package secret
