package manage_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/dispatcher/manage"
)

// modelled is what a channel should be.
type modelled struct {
	path, secret string
	enabled      bool
}

// story is a random sequence of edits, and what should have come of it.
type story struct {
	t        *testing.T
	random   *rand.Rand
	replicas []*bundle
	receiver *receiver
	channels map[string]modelled
	secrets  []string
	etags    map[string][]string // of each channel, the latest last
}

func (s *story) replica() *bundle { return s.replicas[s.random.IntN(len(s.replicas))] }

func (s *story) by() manage.By {
	return manage.By{Tenant: "acme", Actor: []string{"priya", "tomas", "ingrid"}[s.random.IntN(3)]}
}

func (s *story) secret() string {
	secret := fmt.Sprintf("not-a-real-secret-%d-%d", len(s.secrets), s.random.Int64())
	s.secrets = append(s.secrets, secret)
	return secret
}

func (s *story) channel(name, path, secret string) manage.ChannelInput {
	return manage.ChannelInput{Channel: json.RawMessage(fmt.Sprintf(
		`{"type": "webhook", "name": %q, "url": "%s/%s/{key}", "masks": [{"replacement": "{key}", "value": %q}], "auth": {"kind": "bearer", "token": %q}}`,
		name, s.receiver.url, path, secret, secret))}
}

// etag is one that the channel has, or had; fresh says which.
func (s *story) etag(name string) (etag string, fresh bool) {
	all := s.etags[name]
	if len(all) == 0 {
		return "unknown", false
	}
	i := len(all) - 1 - s.random.IntN(min(2, len(all)))
	return all[i], all[i] == all[len(all)-1]
}

func (s *story) know(c manage.Channel) {
	text := string(c.Channel) + fmt.Sprint(c.Routes)
	for _, secret := range s.secrets {
		require.NotContains(s.t, text, secret)
	}
	if all := s.etags[c.Name]; len(all) == 0 || all[len(all)-1] != c.ETag {
		s.etags[c.Name] = append(all, c.ETag)
	}
}

// expect checks the outcome of an edit. code is that of the error; "" = none.
func (s *story) expect(c manage.Channel, err error, code manage.Code, what string) {
	if code != "" {
		e, ok := errors.AsType[*manage.Error](err)
		require.True(s.t, ok, "%s: %v", what, err)
		require.Equal(s.t, code, e.Code, "%s: %v", what, err)
		for _, secret := range s.secrets {
			require.NotContains(s.t, err.Error(), secret)
		}
		return
	}
	require.NoError(s.t, err, what)
	if c.Name != "" {
		s.know(c)
	}
}

func (s *story) step() {
	name := []string{"a", "b", "c"}[s.random.IntN(3)]
	path := []string{"x", "y"}[s.random.IntN(2)]
	was, there := s.channels[name]
	ctx, r := s.t.Context(), s.replica()
	switch s.random.IntN(7) {
	case 0:
		secret := s.secret()
		c, _, err := r.Create(ctx, s.by(), s.channel(name, path, secret))
		if there {
			s.expect(c, err, manage.CodeExists, "create")
			return
		}
		s.expect(c, err, "", "create")
		s.channels[name] = modelled{path, secret, true}
	case 1: // with its secrets, or with those that are stored
		secret, etag, fresh := "[redacted]", "", true
		if s.random.IntN(2) == 0 {
			secret = s.secret()
		}
		if s.random.IntN(2) == 0 {
			etag, fresh = s.etag(name)
		}
		c, err := r.Replace(ctx, s.by(), name, etag, s.channel(name, path, secret))
		switch {
		case !fresh:
			s.expect(c, err, manage.CodeStale, "replace")
		case !there:
			s.expect(c, err, manage.CodeNotFound, "replace")
		case secret == "[redacted]" && path != was.path:
			s.expect(c, err, manage.CodeFields, "a stored secret for another destination")
		default:
			s.expect(c, err, "", "replace")
			was.path = path
			if secret != "[redacted]" {
				was.secret = secret
			}
			s.channels[name] = was
		}
	case 2:
		etag, fresh := s.etag(name)
		err := r.Delete(ctx, s.by(), name, etag)
		switch {
		case !there:
			require.Error(s.t, err)
		case !fresh:
			s.expect(manage.Channel{}, err, manage.CodeStale, "delete")
		default:
			s.expect(manage.Channel{}, err, "", "delete")
			delete(s.channels, name)
			s.etags[name] = nil
		}
	case 3, 4:
		enable := s.random.IntN(2) == 0
		do := r.Disable
		if enable {
			do = r.Enable
		}
		c, err := do(ctx, s.by(), name, "")
		if !there {
			s.expect(c, err, manage.CodeNotFound, "state")
			return
		}
		s.expect(c, err, "", "state")
		was.enabled = enable
		s.channels[name] = was
	case 5: // the copy of a channel does not get its secrets
		c, _, err := r.Create(ctx, s.by(), s.channel("copy", path, "[redacted]"))
		s.expect(c, err, manage.CodeFields, "copy")
	case 6:
		d, err := r.Export(ctx, "acme")
		require.NoError(s.t, err)
		text := d.JSON()
		for _, secret := range s.secrets {
			require.NotContains(s.t, string(text), secret)
		}
		_, _, err = r.Import(ctx, s.by(), "a.json", text, d.ETag, false)
		if e, ok := errors.AsType[*manage.Error](err); ok && e.Code == manage.CodeStale {
			return // this replica did not have the latest yet
		}
		require.NoError(s.t, err)
		for name := range s.channels {
			c, err := r.Get(ctx, "acme", name)
			require.NoError(s.t, err)
			s.know(c)
		}
	}
}

// Any sequence of edits by three actors at two replicas ends in what a model says: the same channels, and the same
// secrets at the same destinations, at both. No secret is shown on the way, and none is sent anywhere else.
func TestEditsAgainstAModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			store := manage.NewMemory()
			s := &story{
				t: t, random: rand.New(rand.NewPCG(seed, 20)), receiver: newReceiver(t), channels: map[string]modelled{}, etags: map[string][]string{},
				replicas: []*bundle{start(t, options(t, store)), start(t, options(t, store))},
			}
			for range 60 {
				s.step()
			}
			for _, r := range s.replicas {
				eventually(t, func() bool {
					for _, name := range []string{"a", "b", "c"} {
						c, err := r.Get(t.Context(), "acme", name)
						latest := s.etags[name]
						if _, there := s.channels[name]; (err == nil) != there || there && c.ETag != latest[len(latest)-1] {
							return false
						}
					}
					return true
				}, "both replicas have the same")
				for len(s.receiver.got) > 0 {
					<-s.receiver.got
				}
				want := map[string]string{}
				for _, c := range s.channels {
					if c.enabled {
						want["/"+c.path+"/"+c.secret] = "Bearer " + c.secret
					}
				}
				dispatch(t, r, "acme")
				got := map[string]string{}
				for range want {
					one := s.receiver.next(t)
					got[one.path] = one.header.Get("Authorization")
				}
				assert.Equal(t, want, got)
				for _, e := range r.audit.all {
					for _, secret := range s.secrets {
						assert.NotContains(t, string(e.JSON()), secret)
					}
				}
			}
		})
	}
}
