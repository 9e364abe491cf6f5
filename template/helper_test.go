package template

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestBuiltinHelpers(t *testing.T) {
	t.Parallel()
	data := tree(t, `{"s":"Ada é","n":12.50,"l":["a",null,1,["b","c"],{"k":"v"}],"e":"","z":0,"f":false,"o":{"k":{"j":1}},"el":[],
		"t":1696263265.851898000,"neg":-1.5,"rfc":"2024-02-03T05:05:06.5+01:00","long":"日本語テキスト"}`)
	for source, want := range map[string]string{
		`{{upper s}} {{lower s}} {{upper n}} {{upper none}}|`:                                                                                                             `ADA É ada é 12.50 |`,
		`{{default none "x"}} {{default e s}} {{default z 1}} {{default f 1}} {{default none none}}`:                                                                      `x Ada é 0 false `,
		`{{join l}}|{{join l ""}}|{{join s "-"}}|{{join el}}|{{join none}}`:                                                                                               `a, , 1, b,c, {"k":"v"}|a1b,c{"k":"v"}|Ada é||`,
		`{{truncate long 3}} {{truncate long 7}} {{truncate long 6}} {{truncate long 0}}|{{truncate long -1}} {{truncate long "x"}} {{truncate n 2}} {{truncate none 3}}`: `日本… 日本語テキスト 日本語テキ… |日本語テキスト 日本語テキスト 1… `,
		`{{date t}} {{date t "15:04:05.000000000"}} {{date rfc}} {{date neg "05.0"}}`:                                                                                     `2023-10-02T16:14:25Z 16:14:25.851898000 2024-02-03T04:05:06Z 58.5`,
		`{{date s}} {{date none}} {{date l}} {{date "1e400"}} {{date "99999999999999999999"}} {{date "1.x"}} {{date "5." "05"}}`:                                          `Ada é  a,,1,b,c,{"k":"v"} 1e400 99999999999999999999 1.x 05`,
		`{{slack "<a&b>"}} {{url "a/b c?é"}}`:                                                                                                                             `&lt;a&amp;b&gt; a%2Fb%20c%3F%C3%A9`,
		`{{json l}} {{json s}} {{json none}} {{json o}}`:                                                                                                                  `["a",null,1,["b","c"],{"k":"v"}] "Ada é" null {"k":{"j":1}}`,
		`{{equal n 12.5}} {{equal n "12.50"}} {{equal n 12.51}} {{equal l l}} {{equal none ""}} {{equal f false}} {{equal f "false"}}`:                                    `true true false false true true true`,
		`{{lookup l 0}} {{lookup l "2"}} {{lookup l "01"}} {{lookup l -1}} {{lookup l 99}} {{lookup o "k"}} {{lookup s "length"}} {{lookup none "x"}} {{lookup z "x"}} {{lookup l l}}|{{lookup l "length"}}`: `a 1    {"j":1} 5  0 |5`,
		`{{#with (lookup o "k")}}{{j}}{{/with}} {{#each (lookup l 3)}}{{this}}{{/each}} {{upper (default none (lower s))}}`:                                                                                  `1 bc ADA É`,
		`{{#equal s "Ada é"}}y{{else}}n{{/equal}}{{^equal s 1}}n{{else}}y{{/equal}}`:                                                                                                                         `yn`,
	} {
		assert.Equal(t, want, render(t, source, Options{Mode: Text}, data), source)
	}
}

func TestBuiltinNamesExist(t *testing.T) {
	t.Parallel()
	for _, name := range builtinNames() {
		assert.NotEqual(t, isBuiltin(name), isBlockHelper(name), name)
	}
}
