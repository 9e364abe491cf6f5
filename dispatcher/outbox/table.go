package outbox

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/tocsin-go/tocsin/channel"
)

// DefaultTable is the table of an Outbox for which none was named.
const DefaultTable = "tocsin_outbox"

// maxNameLength leaves room for the longest suffix within the 63 bytes of PostgreSQL and the 64 of MySQL.
const maxNameLength = 56

// tables are the quoted names of an Outbox's tables, with their schema.
type tables struct {
	rows   string // what waits
	dead   string // dead letters
	state  string // one row: version of the schema, and the lease of the relay
	index  string // of the rows, without a schema
	schema string // unquoted; "" = the connection's own
	name   string // of the state, unquoted
}

// validName is what needs no escape within quotes, in any of the databases.
var validName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// newTables makes the names from "table" or "schema.table".
func newTables(table string, quote func(string) string) (tables, error) {
	if table == "" {
		table = DefaultTable
	}
	schema, name, qualified := strings.Cut(table, ".")
	if !qualified {
		schema, name = "", table
	}
	if !validName.MatchString(name) || qualified && !validName.MatchString(schema) {
		return tables{}, configError(channel.CodeInvalid, "Table", "is not a table's name, with or without its schema",
			`use letters, digits and "_", such as "tocsin_outbox" or "audit.tocsin_outbox"`)
	}
	if max(len(schema), len(name)) > maxNameLength {
		return tables{}, configError(channel.CodeRange, "Table", fmt.Sprintf("has a name of more than %d characters", maxNameLength),
			"choose a shorter one")
	}
	prefix := ""
	if qualified {
		prefix = quote(schema) + "."
	}
	return tables{
		rows:   prefix + quote(name),
		dead:   prefix + quote(name+"_dead"),
		state:  prefix + quote(name+"_state"),
		index:  quote(name + "_xid"),
		schema: schema,
		name:   name + "_state",
	}, nil
}

func configError(code channel.ConfigCode, path, problem, remedy string) *channel.ConfigError {
	return &channel.ConfigError{Package: "outbox", Path: path, Code: code, Problem: problem, Remedy: remedy}
}
