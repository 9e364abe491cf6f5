package notice

import "strings"

const (
	maxResources = 12 // lines in a fact
	maxMentioned = 2  // in a sentence
)

// what is the access in a sentence: the bundle's name, or the first resources.
func (a access) what() string {
	if bundle := name(a.AccessBundle.Name, a.AccessBundle.ID); bundle != "" {
		return bundle
	}
	var units, integrations []string
	for _, g := range a.AccessGroups {
		integrations = append(integrations, name(g.Integration.Name, g.Integration.ID))
		for _, u := range g.AccessUnits {
			units = append(units, permitted(u.Permission.Name, name(u.Resource.Name, u.Resource.Path, u.Resource.ID)))
		}
	}
	if s := among(units, maxMentioned, "and"); s != "" {
		return s
	}
	if s := among(integrations, maxMentioned, "and"); s != "" {
		return "access to " + s
	}
	return "access"
}

// resources lists what can be reached, a line each.
func (a access) resources() string {
	var lines []string
	for _, g := range a.AccessGroups {
		in := name(g.Integration.Name, g.Integration.ID)
		if len(g.AccessUnits) == 0 {
			lines = append(lines, in)
		}
		for _, u := range g.AccessUnits {
			where := line(u.Resource.Path, maxValue)
			if where == "" {
				where = strings.Join(present([]string{in, name(u.Resource.Name, u.Resource.ID)}), ", ")
			}
			lines = append(lines, permitted(u.Permission.Name, where))
		}
	}
	lines = present(lines)
	if rest := len(lines) - maxResources; rest > 0 {
		lines = append(lines[:maxResources:maxResources], among(lines[maxResources:], 0, ""))
	}
	return strings.Join(lines, "\n")
}

// permitted is "Read only on orders".
func permitted(permission, resource string) string {
	if p := name(permission); p != "" {
		return phrase(p, before("on", resource))
	}
	return resource
}
