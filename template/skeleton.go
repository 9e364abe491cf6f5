package template

import "encoding/json"

// checkSkeleton checks a JSON template without blocks as if every value outside quotes were a text: what is then not
// JSON never will be. With blocks the output depends on the data; Trial looks for such errors.
func (t *Template) checkSkeleton() error {
	if t.mode != JSON {
		return nil
	}
	var out []byte
	var trace []write
	for pc := range t.code {
		in := &t.code[pc]
		trace = append(trace, write{len(out), pc})
		switch in.op {
		case opText:
			out = append(out, in.text...)
		case opValue:
			if in.out == outJSONValue && in.nest == 0 {
				out = append(out, `""`...)
			}
		default:
			return nil
		}
	}
	if json.Valid(out) {
		return nil
	}
	return t.invalid(string(out), trace)
}
