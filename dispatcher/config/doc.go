// Package config reads channels and routes from JSON or YAML documents, and writes them back without their secrets.
package config
