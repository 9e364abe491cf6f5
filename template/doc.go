// Package template makes text from an event: JSON bodies, URLs, header values, mail text, Slack messages. Templates are
// written by administrators, data by anybody, and neither can do harm: a template that compiles cannot crash or hang
// the process, and no value leaves the place the template gives it.
//
//	tpl, err := template.Compile(`{"text": "{{data.justification}}"}`, template.Options{})
//	out, err := tpl.Render(ctx, nil, data)
//
// Data is nil, bool, string, json.Number, []any and map[string]any; [Normalise] turns Go values into it. Nothing else
// of Go is reachable: no method, no function, no unexported field. [Template.Lint] compares a template with an example
// of its data, [Template.Trial] renders it with variations of one, [Template.Paths] lists what it reads.
//
// # Handlebars
//
// The syntax is that of handlebars.js 4.7, parsed by github.com/aymerick/raymond and evaluated here:
//
//	{{path}}  {{{path}}}  {{&path}}            a value
//	{{data.requester.name}}  {{list.[0].name}}  {{[a b]}}  {{list.length}}
//	{{this}}  {{.}}  {{./name}}  {{../name}}   the context, and the one around it
//	{{@root.name}}                             the outermost context
//	{{@index}}  {{@key}}  {{@first}}  {{@last}}  {{@../index}}
//	{{#if x}} … {{else if y}} … {{else}} … {{/if}}     also #unless, and {{^}} for {{else}}
//	{{#each list}} … {{else}} … {{/each}}      over a list, or the fields of an object
//	{{#each list as |item index|}}  {{#with object as |name|}}
//	{{#with object}} … {{else}} … {{/with}}
//	{{#name}} … {{/name}}  {{^name}} … {{/name}}       section: loop, scope or condition, by the value
//	{{helper argument "text" 1 true null (helper argument)}}
//	{{! comment }}  {{!-- comment with }} --}}  {{~name~}}  \{{not a mustache}}
//
// There is no implicit search in outer contexts. [], "", 0, null, false and what is missing are false; {} is true. #if
// and #unless know includeZero=value. Only loops count for @../, and a false value on the way through an @-variable is
// the result: {{@root.no.x}} is false when @root.no is.
//
// # Macros
//
// With Options.Syntax set to [Macros], %%Name%% is replaced by a value and nothing else has a meaning. A value is never
// read again, and percent signs that enclose no name are text: "100%% of %%User%%". [SessionMacros] and
// [ApplicationMacros] are the names of two families of products. A name stands for a path, or for a helper: see
// [Options].
//
// # Escaping
//
//   - [JSON]: the context of every expression is known when the template is compiled. Inside a string literal a value
//     is escaped as text: null and missing are empty, a list is joined by commas, an object is its JSON. Outside, it is
//     a complete JSON value; missing is null. Numbers keep every digit. {{x}}, {{{x}}} and {{&x}} are the same. A
//     template whose branches end differently, or that has an expression inside an escape sequence, does not compile.
//     The output is checked once more as a whole. A string that is a JSON document itself keeps its shape as well:
//     where the text of a string begins with {", [" or [{" (blanks aside), a value in it is a string or a value of that
//     document, escaped for both, as in "{ \"reason\": \"{{reason}}\" }"; up to three such documents deep.
//   - [HTML]: the place of every value is known as well. In text and in attributes in quotes & < > " ' ` = become
//     entities. In an attribute that is a URL, such as href, a value may be the whole: one whose scheme is none of
//     http, https, mailto, tel, sms and ftp becomes #. Behind the first slash of a URL, or behind mailto:, it is
//     percent-encoded. In a style it may stand behind the colon of a declaration, and loses what is no letter, digit,
//     blank or one of # % . , - + _. A value does not compile in attributes without quotes, in names of tags and
//     attributes, in event handlers and other attributes that are code, in <script>, <style> and comments, in scheme,
//     host and port of a URL, and as the address of what <iframe>, <link>, <base> and the like load. Raw output needs
//     Options.AllowRaw.
//   - [Text]: nothing is escaped.
//   - [Header]: control characters and line separators become spaces.
//   - [URL]: percent-encoded but for letters, digits and - . _ ~. No value stands in scheme, host or port, and a value
//     can add no path segment, parameter or fragment. A path segment . or .. is an error.
//   - [Slack]: & < > become entities, so that no mention or link comes from data. Inside a JSON body use the helper
//     slack, and for HTML in a JSON string the helper html; [Template.Lint] reports where html is missing.
//
// # Helpers
//
//	if unless each with        blocks only
//	equal a b                  block or value: numbers by value, other scalars by their text
//	lookup container name      a field or element by a computed name
//	json value                 the value as JSON; inside quotes, its text escaped
//	upper text  lower text
//	default value other        other when value is missing, null or ""
//	join list separator        ", " when no separator is given
//	truncate text n            at most n characters, the last one …
//	date time layout           UTC, from epoch seconds or RFC 3339; layout as in package time, RFC 3339 by default
//	seconds time               whole seconds since 1970
//	slack text  html text      escaped for Slack mrkdwn; for HTML
//	url text                   percent-encoded
//
// Hosts add their own with Options.Helpers, for one template at a time. A name without arguments is a helper's call
// only when the helper needs none: {{url}} is a field.
//
// # Differences from handlebars.js
//
//   - Partials, decorators, raw blocks {{{{x}}}} and the helpers log, helperMissing and blockHelperMissing do not
//     exist: they reach outside the template or hide mistakes.
//   - Unknown helpers, wrong numbers of arguments, named arguments but includeZero, unknown @-variables and block
//     parameters of #if are compile errors: a mistake is reported when a channel is saved, not when it fires.
//   - An object prints as its JSON, not as "[object Object]".
//   - The fields of an object are visited in byte order, since the same data must give the same bytes.
//   - Numbers print as they were written, since 1696263265.851898000 must keep its digits. Neighbouring numbers are
//     never added up.
//   - A null element of a list stays null in the blocks within it; there it turns into an empty object, which is true.
//   - For ../, a list or object never equals a scalar. (A block whose context equals the one around it is no level for
//     ../, as there: equal is JavaScript's ==, by which "1" equals 1.)
//   - Text in quotes and names in brackets end on their line.
//   - In a string, only length can be read.
//
// # Limits
//
// Source, nesting, output and steps are bounded, see [Limits]; the context is looked at every 1,024 steps. Whatever
// takes time takes steps: what a helper, a comparison or a path reads and writes counts as a step for each 64 bytes. To
// compile a template costs time and memory in proportion to its source, and so does to lint it.
package template
