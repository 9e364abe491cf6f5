package secret

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-go/tocsin/channel"
)

func TestS51_URLShownHasTheReplacement(t *testing.T) {
	t.Parallel()
	u := URL{Text: "https://hooks.example.com/services/{team}/{token}?t={token}", Masks: []Mask{
		{"{team}", Literal("T0123ABCD")}, {"{token}", Literal("{team}-51HxYz")},
	}}
	require.NoError(t, u.Validate())
	called, err := u.Expand(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "https://hooks.example.com/services/T0123ABCD/{team}-51HxYz?t={team}-51HxYz", called,
		"a value that looks like a replacement stays as it is")
	assert.Equal(t, u.Text, u.String())
	assert.NotContains(t, fmt.Sprintf("%v %+v %#v", u, u, u), "51HxYz")
	assert.Len(t, u.Values(), 2)

	plain := URL{Text: "https://example.com/"}
	require.NoError(t, plain.Validate())
	called, err = plain.Expand(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "https://example.com/", called)
	_, err = URL{Text: "https://a.example/M1", Masks: []Mask{{"M1", Env("TOCSIN_TEST_ABSENT")}}}.Expand(t.Context())
	require.EqualError(t, err, "secret from env TOCSIN_TEST_ABSENT is not set")
}

func TestS51_MaskRules(t *testing.T) {
	t.Parallel()
	v := Literal(planted)
	masks := func(n int) (text string, list []Mask) {
		text = "https://example.com"
		for i := range n {
			text += fmt.Sprintf("/[%02d]", i)
			list = append(list, Mask{fmt.Sprintf("[%02d]", i), v})
		}
		return text, list
	}
	ten, tenMasks := masks(10)
	eleven, elevenMasks := masks(11)
	for name, c := range map[string]struct {
		u   URL
		err string
	}{
		"ten masks":             {URL{ten, tenMasks}, ""},
		"eleven masks":          {URL{eleven, elevenMasks}, "Masks[10] is one too many"},
		"empty replacement":     {URL{"https://a.example/x", []Mask{{"", v}}}, "Masks[0].Replacement is empty"},
		"slash in replacement":  {URL{"https://a.example/x/y", []Mask{{"x/y", v}}}, "Masks[0].Replacement cannot be used"},
		"long replacement":      {URL{"https://a.example/" + strings.Repeat("x", 101), []Mask{{strings.Repeat("x", 101), v}}}, "Masks[0].Replacement cannot be used"},
		"not in the text":       {URL{"https://a.example/x", []Mask{{"TOKEN", v}}}, "does not occur"},
		"no value":              {URL{"https://a.example/T", []Mask{{"T", Value{}}}}, "Masks[0].Value is missing"},
		"one within another":    {URL{"https://a.example/MM/M", []Mask{{"MM", v}, {"M", v}}}, "Masks[1].Replacement is part of that of mask 1"},
		"twice the same":        {URL{"https://a.example/M", []Mask{{"M", v}, {"M", v}}}, "part of that of mask"},
		"in the host":           {URL{"https://TENANT.example/TENANT", []Mask{{"TENANT", v}}}, "occurs in scheme, host or port"},
		"right behind the host": {URL{"https://a.exampleTOKEN", []Mask{{"TOKEN", v}}}, "occurs in scheme, host or port"},
		"behind the port":       {URL{"https://a.example:443TOKEN", []Mask{{"TOKEN", v}}}, "occurs in scheme, host or port"},
		"as userinfo":           {URL{"https://TOKEN@a.example/TOKEN", []Mask{{"TOKEN", v}}}, "occurs in scheme, host or port"},
		"only in the query":     {URL{"https://a.example?t=TOKEN", []Mask{{"TOKEN", v}}}, ""},
		"not absolute":          {URL{"/TOKEN", []Mask{{"TOKEN", v}}}, "does not begin with scheme and host"},
	} {
		err := c.u.Validate()
		if c.err == "" {
			require.NoError(t, err, name)
			continue
		}
		var e *channel.ConfigError
		require.ErrorAs(t, err, &e, name)
		assert.ErrorContains(t, err, c.err, name)
		assert.NotContains(t, err.Error(), "a.example", name)
	}
}

func TestS51_MasksAreWriteOnly(t *testing.T) {
	t.Parallel()
	token, other := Literal(planted), Literal("other-value")
	stored := URL{"https://a.example/TOKEN/QQ", []Mask{{"TOKEN", token}}}
	for name, c := range map[string]struct {
		next URL
		want URL
		err  string
	}{
		"kept":                    {URL{"https://a.example/TOKEN/QQ", []Mask{{"TOKEN", Kept()}}}, URL{"https://a.example/TOKEN/QQ", []Mask{{"TOKEN", token}}}, ""},
		"kept for another path":   {URL{"https://a.example/v2/TOKEN/QQ", []Mask{{"TOKEN", Kept()}}}, URL{}, "destination has changed"},
		"kept for another case":   {URL{"https://A.example/TOKEN/QQ", []Mask{{"TOKEN", Kept()}}}, URL{}, "destination has changed"},
		"replaced":                {URL{"https://b.example/TOKEN", []Mask{{"TOKEN", other}}}, URL{"https://b.example/TOKEN", []Mask{{"TOKEN", other}}}, ""},
		"deleted":                 {URL{"https://a.example/x", nil}, URL{"https://a.example/x", nil}, ""},
		"kept under another name": {URL{"https://a.example/T2", []Mask{{"T2", Kept()}}}, URL{}, "no stored value"},
		"kept for another host":   {URL{"https://evil.example/TOKEN", []Mask{{"TOKEN", Kept()}}}, URL{}, "destination has changed"},
		"kept for another port":   {URL{"https://a.example:8443/TOKEN", []Mask{{"TOKEN", Kept()}}}, URL{}, "destination has changed"},
		"kept for another scheme": {URL{"http://a.example/TOKEN", []Mask{{"TOKEN", Kept()}}}, URL{}, "destination has changed"},
		"kept for a user's host":  {URL{"https://a.example@evil.example/TOKEN", []Mask{{"TOKEN", Kept()}}}, URL{}, "destination has changed"},
		"new mask without value":  {URL{"https://a.example/TOKEN/QQ", []Mask{{"TOKEN", Kept()}, {"QQ", Value{}}}}, URL{}, "Masks[1].Value is missing"},
	} {
		got, err := stored.Update(c.next)
		if c.err != "" {
			var e *channel.ConfigError
			require.ErrorAs(t, err, &e, name)
			assert.ErrorContains(t, err, c.err, name)
			continue
		}
		require.NoError(t, err, name)
		assert.Equal(t, c.want, got, name)
	}
	// They are equal when case is folded, and two hosts when they are dialled: strasse.example is the second.
	sharp := URL{"https://straße.example/TOKEN", []Mask{{"TOKEN", token}}}
	_, err := sharp.Update(URL{"https://straẞe.example/TOKEN", []Mask{{"TOKEN", Kept()}}})
	assert.ErrorContains(t, err, "destination has changed")
}
