package template

// Kind classifies an error or a finding, for a user interface that shows its own text.
type Kind string

// Kinds of SyntaxError. In HTML mode, KindBranch and KindLoop are among them.
const (
	KindSyntax      Kind = "syntax"             // the source is not a sentence of the language
	KindUnsupported Kind = "unsupported"        // valid Handlebars that this package refuses: partials, raw blocks, decorators …
	KindHelper      Kind = "unknown helper"     // a call of something that is not a helper
	KindArity       Kind = "arguments"          // wrong number of arguments, or named ones where none are taken
	KindVariable    Kind = "unknown @-variable" // only @root, @index, @key, @first and @last exist
	KindLimit       Kind = "limit"              // longer or deeper than Limits allow; also of a JSONError and a Finding
	KindRaw         Kind = "raw output"         // {{{x}}} in HTML mode without AllowRaw
	KindMacro       Kind = "unknown macro"      // %%Name%% with a name that is not in Options.Macros
	KindPlace       Kind = "place"              // a value where a URL or HTML must not have one
)

// Kinds of JSONError.
const (
	KindBranch    Kind = "branches differ"   // one branch of a block ends inside a string, the other outside
	KindLoop      Kind = "loop drifts"       // a loop body does not end where it began, inside or outside a string
	KindQuote     Kind = "unclosed string"   // the template ends inside a string
	KindBackslash Kind = "backslash"         // an expression or block inside an escape sequence
	KindEscape    Kind = "escape"            // an escape sequence that JSON does not have
	KindControl   Kind = "control character" // a raw control character, such as a line break, inside a string
	KindJoint     Kind = "joined value"      // a value directly beside a number or word, which would change it
	KindOutput    Kind = "not JSON"          // the text made is not a JSON document
)

// Kinds of RenderError.
const (
	KindSteps   Kind = "too many steps"  // Limits.Steps
	KindSize    Kind = "output too long" // Limits.Output
	KindContext Kind = "context done"    // the context was cancelled or its deadline passed
	KindFailed  Kind = "helper failed"   // a helper returned an error
	KindPanic   Kind = "helper panicked" // a helper panicked
	KindData    Kind = "data"            // the data is not in the normalised form, or nested too deep
	KindSegment Kind = "dot segment"     // a URL path segment that is "." or ".."
)

// Kinds of Finding; findings of a trial render have the kinds of the errors.
const (
	KindPath   Kind = "unknown path" // the example has nothing at this path
	KindList   Kind = "list"         // the path goes through a list, or prints one
	KindValue  Kind = "value"        // the path goes into a text, number or boolean
	KindScope  Kind = "scope"        // ../ above the root, or @index and the like outside a loop
	KindPrint  Kind = "object"       // an object is printed as text
	KindEmpty  Kind = "empty text"   // a text has nothing but blanks with some data
	KindMarkup Kind = "markup"       // a value in HTML inside a JSON string is not escaped for it
)
