package template

// opcode is what one instruction does.
type opcode uint8

const (
	opText    opcode = iota // append text
	opValue                 // append the operand's value
	opIf                    // go to target when the operand is false
	opUnless                // go to target when the operand is true
	opJump                  // go to target
	opWith                  // enter a scope, or go to target when the operand is empty
	opEach                  // enter a loop, or go to target when there is nothing to loop over
	opSection               // {{#name}}: loop over a list, enter a scope for the rest, or go to target when false
	opNext                  // next iteration at target, or leave the loop or scope
)

// instruction is one step of a program. The program is flat; blocks are jumps.
type instruction struct {
	op     opcode
	out    output
	joins  bool // opText: the first byte would prolong a JSON value before it
	markup bool // opValue in JSON: in a string that holds HTML, and not escaped for it
	nest   int8 // opValue in JSON: the number of strings of documents around the document it is in
	target int
	text   string
	arg    operand
	zero   *operand // opIf, opUnless: when it is true, 0 counts as true (includeZero); nil: never
	pos    int      // offset in the source
}

// base is where an operand's path begins.
type base uint8

const (
	baseThis    base = iota // the context, depth steps up
	baseRoot                // @root
	baseIndex               // @index, @key, @first, @last of the loop depth steps up
	baseKey                 //
	baseFirst               //
	baseLast                //
	baseParam               // first block parameter of the block at level depth: its value
	baseParamAt             // second block parameter: index or key
	baseLiteral             // a literal in the template
	baseCall                // a helper's result
)

// operand is an expression: a path, a literal or a call.
type operand struct {
	base    base
	depth   int
	names   []segment
	cost    int // steps for the names beyond the instruction's own, see pathCost
	literal any
	call    *call
	written string // as the template has it
	pos     int
}

// pathCost is the number of steps of a path: each name is hashed, and compared where it is found.
func pathCost(names []segment) int {
	bytes := 0
	for i := range names {
		bytes += 4 + len(names[i].name)
	}
	return bytes / (2 * bytesPerStep)
}

// isCallOf reports whether o is a call of a built-in helper.
func (o *operand) isCallOf(builtin string) bool {
	return o.base == baseCall && o.call.name == builtin && o.call.builtin.call != nil
}

// escapes reports whether o is a call whose result holds no markup.
func (o *operand) escapes() bool {
	for _, name := range [...]string{"html", "url", "slack", "date", "seconds", "equal"} {
		if o.isCallOf(name) {
			return true
		}
	}
	return o.base == baseLiteral || o.isLoopVariable() && o.base != baseKey
}

// quoted is the expression as messages have it.
func (o *operand) quoted() string { return short(o.written) }

// segment is a name in a path, with the list index it stands for, or -1.
type segment struct {
	name  string
	index int
}

func newSegment(name string) segment { return segment{name: name, index: listIndex(name)} }

// call is a helper with its arguments. Exactly one of builtin and helper is set.
type call struct {
	name    string
	builtin builtin
	helper  Helper
	args    []operand
}
