package manage

import (
	"context"

	"github.com/tocsin-go/tocsin/dispatcher/config"
	"github.com/tocsin-go/tocsin/event"
)

// Document is a tenant's whole configuration.
type Document struct {
	*config.Document // never nil; shows no secrets

	ETag     string // changes with what is shown, and with every change of a secret
	Revision Revision
	Applied  Revision // that is in force
	Problem  string   // why the stored revision is not in force, or not as a whole; "" = it is
}

// Export returns a tenant's configuration.
func (s *Service) Export(ctx context.Context, tenant string) (Document, error) {
	if err := ctx.Err(); err != nil {
		return Document{}, err
	}
	return s.viewOf(tenant).whole(), nil
}

func (v *view) whole() Document {
	stored, applied := v.revisions()
	return Document{Document: v.document(), ETag: v.documentETag(), Revision: stored, Applied: applied, Problem: v.problem}
}

// Import puts a document, in JSON or YAML by the ending of file's name, in the place of the tenant's configuration.
// Where it has [redacted], stored secrets are kept, as config.Load does. Routes that are not in it are removed, with
// what waits for them. etag is the one that the document must have; "" = any. With dryRun nothing is changed: the
// differences are returned all the same.
func (s *Service) Import(ctx context.Context, by By, file string, text []byte, etag string, dryRun bool) (Document, []event.FieldChange, error) {
	if most := s.options.Limits.Document; len(text) > most {
		return Document{}, nil, newError(CodeTooLarge, "the document is too large", "make it smaller")
	}
	var found []event.FieldChange
	load := func(v *view, o config.Options) (*config.Document, error) {
		if etag != "" && etag != v.documentETag() {
			return nil, newError(CodeStale, "the configuration was changed since it was read", "read it again and repeat the change")
		}
		o.Previous, o.MaxSize = v.set, s.options.Limits.Document
		set, err := config.Load(file, text, o)
		if err != nil {
			return nil, fieldsError(err, "")
		}
		found = differences(v.document(), set.Document, &edit{})
		return set.Document, set.Close()
	}
	if dryRun {
		v := s.viewOf(by.Tenant)
		if v.set == nil && v.problem != "" {
			return Document{}, nil, &Error{Code: CodeUnreadable, Detail: "the stored configuration cannot be read"}
		}
		_, err := load(v, s.configOf(by.Tenant))
		return v.whole(), found, err
	}
	v, _, err := s.edit(ctx, edit{tenant: by.Tenant, actor: by.Actor, typ: event.TypeConfigImported, change: load})
	if err != nil {
		return Document{}, nil, err
	}
	return v.whole(), found, nil
}
