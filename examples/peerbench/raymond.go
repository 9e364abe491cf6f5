package main

import "github.com/aymerick/raymond"

// raymondTemplate is raymond as it comes, whose parser Tocsin's templates use too.
func raymondTemplate() renderer {
	return renderer{
		name: "aymerick/raymond", traits: renderTraits{"for HTML, always", "methods and fields of values, by reflection", "none"},
		open: func(data any) (func() (string, error), error) {
			t, err := raymond.Parse(handlebarsBody)
			if err != nil {
				return nil, err
			}
			return func() (string, error) { return t.Exec(data) }, nil
		},
	}
}
