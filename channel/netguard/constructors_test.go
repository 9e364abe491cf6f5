package netguard

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// forbidden lists, by import path, what makes connections without the guard.
var forbidden = map[string]string{
	"net":           "Dial DialTimeout DialTCP DialUDP DialUnix DialIP Dialer",
	"net/http":      "DefaultClient DefaultTransport Get Head Post PostForm Client Transport ProxyFromEnvironment",
	"crypto/tls":    "Dial DialWithDialer Dialer",
	"net/smtp":      "Dial SendMail",
	"net/rpc":       "Dial DialHTTP DialHTTPPath",
	"net/textproto": "Dial",
	"syscall":       "Socket Connect",
	"os/exec":       "Command CommandContext",

	"github.com/wneessen/go-mail/smtp": "Dial SendMail",
}

// supplied lists, by import path, what makes connections without the guard unless it is given something of the guard's.
// The AWS credential chain is not in it: it has to reach a metadata service (S68).
var supplied = map[string]struct{ pkg, constructors, needs string }{
	"github.com/wneessen/go-mail":              {"mail", "NewClient", "WithDialContextFunc"},
	"github.com/aws/aws-sdk-go-v2/service/sns": {"sns", "New NewFromConfig", "HTTPClient"},
	"github.com/aws/aws-sdk-go-v2/service/sqs": {"sqs", "New NewFromConfig", "HTTPClient"},
	"golang.org/x/net/proxy":                   {"proxy", "Dial FromEnvironment FromURL SOCKS5 Direct", "-"},
	"net/http/httputil":                        {"httputil", "ReverseProxy NewSingleHostReverseProxy", "Transport"},
}

// unguarded returns the forbidden names that a source file uses, with their positions.
func unguarded(set *token.FileSet, file *ast.File) []string {
	names := make(map[string]string) // local name -> import path
	for _, i := range file.Imports {
		path, _ := strconv.Unquote(i.Path.Value)
		local := path[strings.LastIndexByte(path, '/')+1:]
		if s, ok := supplied[path]; ok {
			local = s.pkg
		} else if forbidden[path] == "" {
			continue
		}
		if i.Name != nil {
			local = i.Name.Name
		}
		if local == "." {
			return []string{set.Position(i.Pos()).String() + ": dot import of " + path}
		}
		names[local] = path
	}
	var found []string
	mentions := make(map[string]bool)
	ast.Inspect(file, func(n ast.Node) bool {
		if name, ok := n.(*ast.Ident); ok {
			mentions[name.Name] = true
		}
		return true
	})
	ast.Inspect(file, func(n ast.Node) bool {
		selector, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, ok := selector.X.(*ast.Ident)
		if !ok {
			return true
		}
		not, need := forbidden[names[x.Name]], supplied[names[x.Name]]
		if !mentions[need.needs] {
			not += " " + need.constructors
		}
		if strings.Contains(" "+not+" ", " "+selector.Sel.Name+" ") {
			found = append(found, set.Position(selector.Pos()).String()+": "+x.Name+"."+selector.Sel.Name)
		}
		return true
	})
	return found
}

// The packages of all channels are searched for constructors of connections; only this package may have any.
func TestS1_OneGuardedDialer(t *testing.T) {
	t.Parallel()
	set := token.NewFileSet()
	files := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files++
		if filepath.Dir(path) != filepath.Join("..", "netguard") {
			assert.Empty(t, unguarded(set, file), "take a Client or DialContext from a netguard.Guard")
		}
		return nil
	})
	require.NoError(t, err)
	assert.Greater(t, files, 15, "the search found the sources")
}

func TestS1_TheSearchFindsConstructors(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]int{
		`import "net"; func f() { net.Dial("tcp", "x") }`:                       1,
		`import n "net"; var d n.Dialer`:                                        1,
		`import . "net"; var d Dialer`:                                          1,
		`import "net/http"; var c = &http.Client{Transport: &http.Transport{}}`: 2,
		`import "net/http"; var c = http.DefaultClient`:                         1,
		`import "crypto/tls"; func f() { tls.Dial("tcp", "x", nil) }`:           1,
		`import "net/http"; var s = http.StatusOK; var r http.Request`:          0,
		`import "net"; var c net.Conn; var e *net.OpError`:                      0,
		`import "example.com/net"; func f() { net.Dial() }`:                     0,
		`import "github.com/wneessen/go-mail/smtp"; var f = smtp.NewClient`:     0,
		`import "github.com/wneessen/go-mail/smtp"; var f = smtp.SendMail`:      1,

		`import "github.com/wneessen/go-mail"; var c, _ = mail.NewClient("x")`:                              1,
		`import "github.com/wneessen/go-mail"; var c, _ = mail.NewClient("x", mail.WithDialContextFunc(g))`: 0,
		`import "github.com/aws/aws-sdk-go-v2/service/sns"; var c = sns.New(sns.Options{Region: "x"})`:      1,
		`import "github.com/aws/aws-sdk-go-v2/service/sns"; var c = sns.New(sns.Options{HTTPClient: g})`:    0,
		`import "github.com/aws/aws-sdk-go-v2/service/sns"; var t = sns.PublishInput{}`:                     0,
		`import "golang.org/x/net/proxy"; var d = proxy.FromEnvironment()`:                                  1,
		`import "net/http/httputil"; var p = httputil.ReverseProxy{}`:                                       1,
	} {
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, "x.go", "package x; "+source, parser.SkipObjectResolution)
		require.NoError(t, err)
		assert.Len(t, unguarded(set, file), want, source)
	}
}

// In this package there is one dialer, one transport and one http.Client.
func TestS1_OwnConstructors(t *testing.T) {
	t.Parallel()
	set := token.NewFileSet()
	packages, err := filepath.Glob("*.go")
	require.NoError(t, err)
	made := make(map[string]int)
	for _, path := range packages {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			literal, ok := n.(*ast.CompositeLit)
			if !ok {
				return true
			}
			if s, ok := literal.Type.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok {
					made[x.Name+"."+s.Sel.Name]++
				}
			}
			return true
		})
	}
	assert.Equal(t, 1, made["net.Dialer"])
	assert.Zero(t, made["http.Transport"])
	assert.Equal(t, 1, made["http.Client"])
}
