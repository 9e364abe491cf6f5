package config

// Kinds names every built-in type of channel, preset and body: "email", "webhook preset teams", "webhook body form".
func Kinds() []string {
	var all []string
	for name, t := range builtInTypes().types {
		all = append(all, name)
		for _, f := range t.Fields {
			if f.Kind != Variants || f.Name == "auth" {
				continue
			}
			for _, v := range f.Variants {
				all = append(all, name+" "+f.Name+" "+v.Name)
			}
		}
	}
	return all
}
