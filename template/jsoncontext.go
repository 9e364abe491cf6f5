package template

// jsonContext is where in a JSON document the text so far ends: outside a string, inside one, or inside an escape.
type jsonContext uint8

const (
	jsonOutside jsonContext = iota
	jsonString
	jsonEscape // after a backslash
	jsonHex4   // after \u, four digits to come
	jsonHex3
	jsonHex2
	jsonHex1
)

// advance reads literal text. On error, offset is the offending byte's and kind is not empty. quote is the offset of
// the quote that opened the string the text ends in, -1 when it opened none.
func (c jsonContext) advance(text string) (end jsonContext, offset, quote int, kind Kind) {
	quote = -1
	for i := 0; i < len(text); i++ {
		b := text[i]
		switch c {
		case jsonOutside:
			if b == '"' {
				c, quote = jsonString, i
			}
		case jsonString:
			switch {
			case b == '"':
				c = jsonOutside
			case b == '\\':
				c = jsonEscape
			case b < 0x20:
				return c, i, quote, KindControl
			}
		case jsonEscape:
			switch b {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
				c = jsonString
			case 'u':
				c = jsonHex4
			default:
				return c, i, quote, KindEscape
			}
		default:
			if !isHexDigit(b) {
				return c, i, quote, KindEscape
			}
			if c++; c > jsonHex1 {
				c = jsonString
			}
		}
	}
	return c, 0, quote, ""
}

func isHexDigit(b byte) bool {
	return b >= '0' && b <= '9' || b >= 'a' && b <= 'f' || b >= 'A' && b <= 'F'
}
