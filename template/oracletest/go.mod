module github.com/tocsin-go/tocsin/template/oracletest

go 1.26.0

require (
	github.com/aymerick/raymond v2.0.2+incompatible
	github.com/stretchr/testify v1.12.1
	github.com/tocsin-go/tocsin v0.0.0
	golang.org/x/net v0.62.0
)

require (
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	gopkg.in/yaml.v2 v2.4.0 // indirect
)

replace github.com/tocsin-go/tocsin => ../..
