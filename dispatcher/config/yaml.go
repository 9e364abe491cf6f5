package config

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/tocsin-go/tocsin/channel"
)

// parseYAML reads one YAML document. Aliases are written out, within the budget; merge keys and tags of one's own are
// refused, because what they do depends on the reader.
func parseYAML(src []byte, most int, p *problems) *node {
	loader, err := yaml.NewLoader(bytes.NewReader(src), yaml.WithUniqueKeys(false)) // we report them, all of them
	if err != nil {
		p.add(position{}, "", channel.CodeInvalid, "cannot be read as YAML", "check what the file holds")
		return nil
	}
	var document, another yaml.Node
	switch err := loader.Load(&document); {
	case errors.Is(err, io.EOF) || err == nil && len(document.Content) == 0:
		remedy := `write at least "routes: []"`
		if p.whole != "" {
			remedy = "write its fields"
		}
		p.add(position{}, "", channel.CodeMissing, "is empty", remedy)
		return nil
	case err != nil:
		notYAML(err, src, p)
		return nil
	}
	if err := loader.Load(&another); err == nil {
		p.add(placeAt(another.Line, another.Column), "", channel.CodeInvalid, "is followed by another one", "write one document per file, without ---")
		return nil
	} else if !errors.Is(err, io.EOF) {
		notYAML(err, src, p)
		return nil
	}
	c := yamlConverter{problems: p, budget: budget{maxBytes: most}, inside: map[*yaml.Node]bool{}}
	root := c.convert(document.Content[0], 1)
	if c.failed {
		return nil
	}
	return root
}

func notYAML(err error, src []byte, p *problems) {
	at, message := position{}, "cannot be read"
	if e, ok := errors.AsType[*yaml.LoadError](err); ok {
		at, message = placeAt(e.Mark.Line, e.Mark.Column), strings.TrimPrefix(e.Message, "yaml: ")
		if e.ContextMsg != "" {
			message += " " + e.ContextMsg
		}
	}
	if strings.HasPrefix(message, "unknown anchor") { // the message quotes it, and it may be an unquoted secret
		p.add(at, "", channel.CodeInvalid, "has an alias whose anchor is not before it", "put text that begins with * in quotes, or mark what is meant with & and the name")
		return
	}
	if strings.Contains(message, "found character that cannot start any token") {
		p.add(at, "", channel.CodeInvalid, "is not valid YAML: "+message, "indent with spaces, not tabs, and put text that begins with @, ` or % in quotes")
		return
	}
	if place, ok := unquotedTemplate(src, int(at.line)); ok {
		p.add(place, "", channel.CodeInvalid, unquoted, quoteIt)
		return
	}
	p.add(at, "", channel.CodeInvalid, "is not valid YAML: "+message, "check indentation, colons, brackets and quotes around this place")
}

const (
	unquoted = "has a template that is not in quotes, which YAML takes for an object"
	quoteIt  = "put all of it in single quotes, such as '{{data.justification}}', or write it below, behind |-"
)

// templateStart is where a value begins with a template.
var templateStart = regexp.MustCompile(`(?:^|[:,\[-])[ \t]*(\{\{)`)

// unquotedTemplate finds a value that begins with a template in the line of a mistake, or the one before.
func unquotedTemplate(src []byte, line int) (position, bool) {
	lines := bytes.Split(src, []byte("\n"))
	for n := min(line, len(lines)); n >= max(line-1, 1); n-- {
		if at := templateStart.FindSubmatchIndex(lines[n-1]); at != nil {
			return placeAt(n, 1+utf8.RuneCount(lines[n-1][:at[2]])), true
		}
	}
	return position{}, false
}

type yamlConverter struct {
	problems *problems
	budget   budget
	inside   map[*yaml.Node]bool // anchored nodes that are being converted
	failed   bool
}

func (c *yamlConverter) refuse(at position, problem, remedy string) *node {
	c.failed = true
	c.problems.add(at, "", channel.CodeInvalid, problem, remedy)
	return &node{at: at, kind: nullNode}
}

func (c *yamlConverter) convert(y *yaml.Node, depth int) *node {
	at := placeAt(y.Line, y.Column)
	if c.failed && c.budget.spent() {
		return &node{at: at, kind: nullNode}
	}
	if !c.budget.spend(at, depth, len(y.Value), c.problems) {
		c.failed = true
		return &node{at: at, kind: nullNode}
	}
	switch y.Kind {
	case yaml.AliasNode:
		if c.inside[y.Alias] {
			return c.refuse(at, "has an alias within its own anchor", "write out what is meant")
		}
		n := c.convert(y.Alias, depth)
		n.at = at // that is where the reader looks
		return n
	case yaml.SequenceNode:
		c.inside[y] = true
		defer delete(c.inside, y)
		n := &node{at: at, kind: listNode}
		for _, item := range y.Content {
			n.items = append(n.items, c.convert(item, depth+1))
		}
		return n
	case yaml.MappingNode:
		c.inside[y] = true
		defer delete(c.inside, y)
		return c.object(y, at, depth)
	default:
		return c.scalar(y, at)
	}
}

func (c *yamlConverter) object(y *yaml.Node, at position, depth int) *node {
	n := &node{at: at, kind: objectNode}
	for i := 0; i+1 < len(y.Content); i += 2 {
		key, value := y.Content[i], y.Content[i+1]
		place := placeAt(key.Line, key.Column)
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		switch {
		case key.ShortTag() == "!!merge":
			c.refuse(place, "has a merge key <<", "write the fields out, or use an alias for a whole value")
			continue
		case key.Kind == yaml.MappingNode:
			c.refuse(at, unquoted, quoteIt)
			continue
		case key.Kind != yaml.ScalarNode:
			c.refuse(place, "has a field whose name is not text", "give the field a name")
			continue
		}
		c.budget.bytes += len(key.Value)
		n.fields = append(n.fields, pair{key.Value, place, c.convert(value, depth+1)})
	}
	return n
}

func (c *yamlConverter) scalar(y *yaml.Node, at position) *node {
	n := &node{at: at, text: y.Value}
	switch tag := y.ShortTag(); tag {
	case "!!null":
		if y.Anchor != "" {
			return c.refuse(at, "has an anchor without a value", "put text that begins with & in quotes")
		}
		n.kind = nullNode
	case "!!bool":
		n.kind = boolNode
	case "!!int", "!!float":
		n.kind = numberNode
	case "!!str", "!!timestamp":
		n.kind = textNode
	default:
		return c.refuse(at, "has a tag that means nothing here", "put text that begins with ! in quotes, or remove the word with the exclamation mark")
	}
	return n
}
