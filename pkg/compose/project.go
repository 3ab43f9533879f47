package compose

// Project is one Compose project as its files describe it.
type Project struct {
	Name      string
	Directory string   // absolute
	Files     []string // absolute: the main file, and its override where Compose would take it
	// Services are those that would be started, by name: those of profiles
	// that are off are not among them.
	Services []Service
	// Binds are the absolute paths of this machine that its containers write to
	// or read: bind mounts, files of secrets and configs, and local volumes
	// whose device is a path. Clean, sorted, each once; links are not resolved.
	Binds []string
	// Networks are the external networks that must exist, by their real names.
	Networks []string
	// Warnings are what works now and may surprise later, a line each.
	Warnings []string
	// Err says why the project can't be loaded. Name is then a guess, the
	// folder's name.
	Err error
}

// Service is one service of a project.
type Service struct {
	Name      string
	Image     string // "" where it is only built
	Container string // the name of its first container
	Restart   string // no, always, unless-stopped, on-failure
	// Health says that the files give it a health check. An image may bring one
	// of its own.
	Health bool
}

// Order splits projects into those of first, in that order, and the rest, which
// keep theirs. A name that is no project is returned in unknown.
func Order(projects []Project, first []string) (before, rest []Project, unknown []string) {
	taken := make([]bool, len(projects))
	for _, name := range first {
		found := false
		for i, p := range projects {
			if p.Name != name {
				continue
			}
			found = true
			if !taken[i] {
				taken[i] = true
				before = append(before, p)
			}
		}
		if !found {
			unknown = append(unknown, name)
		}
	}
	for i, p := range projects {
		if !taken[i] {
			rest = append(rest, p)
		}
	}
	return before, rest, unknown
}
