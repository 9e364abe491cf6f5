// Package drivertest tests package outbox with drivers and servers: PostgreSQL through pgx, SQLite through
// modernc.org/sqlite, MySQL's dialect through go-sql-driver/mysql on MariaDB. It exports nothing.
package drivertest
