module github.com/tocsin-go/tocsin/examples/replicas

go 1.26.0

require (
	github.com/jackc/pgx/v5 v5.13.0
	github.com/stretchr/testify v1.12.1
	github.com/tocsin-go/tocsin v0.0.0
	github.com/tocsin-go/tocsin/dispatcher/queue/postgresqueue v0.0.0
	go.uber.org/goleak v1.3.0
)

require (
	github.com/aymerick/raymond v2.0.2+incompatible // indirect
	github.com/cenkalti/backoff/v4 v4.3.0 // indirect
	github.com/jackc/pgpassfile v1.0.0 // indirect
	github.com/jackc/pgservicefile v0.0.0-20240606120523-5a60cdf6a761 // indirect
	github.com/jackc/puddle/v2 v2.2.3 // indirect
	github.com/wneessen/go-mail v0.8.1 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/net v0.62.0 // indirect
	golang.org/x/sync v0.24.0 // indirect
	golang.org/x/text v0.43.0 // indirect
)

replace (
	github.com/tocsin-go/tocsin => ../..
	github.com/tocsin-go/tocsin/dispatcher/queue/postgresqueue => ../../dispatcher/queue/postgresqueue
)
