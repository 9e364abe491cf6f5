// Package presets lets vendors' own JSON schemas judge the bodies that package preset makes.
//
// testdata/adf.json is the schema of the Atlassian Document Format as published in the npm package @atlaskit/adf-schema
// 57.7.22 (Apache License 2.0, see testdata/adf.LICENSE), unchanged.
package presets
