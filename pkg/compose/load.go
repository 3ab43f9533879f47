package compose

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/template"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/sirupsen/logrus"
)

// quiet keeps the loader's remarks off stderr, which hooks share with what
// people read. Nothing else here uses that logger.
var quiet = sync.OnceFunc(func() { logrus.SetOutput(io.Discard) })

// load reads the project's files.
func (c *candidate) load(ctx context.Context) {
	unset := &unsetVariables{names: map[string]bool{}}
	loaded := c.read(ctx, unset)
	if loaded == nil {
		return
	}
	c.describe(loaded)
	c.Warnings = append(c.Warnings, unset.warnings()...)
	if os.Getenv("HOME") == "" && slices.ContainsFunc(c.Binds, homeless) {
		c.Err = &LoadError{File: c.Files[0], Err: errors.New("it has a path that begins with ~, and HOME is not set"),
			hint: "write the path in full, or set HOME for this program"}
	}
}

// read has the loader read the project's files. Where that fails it returns nil
// and Err says why.
func (c *candidate) read(ctx context.Context, unset *unsetVariables, more ...cli.ProjectOptionsFn) (loaded *types.Project) {
	quiet()
	defer func() {
		// The loader is large and the files are anybody's: no mistake in one may
		// end a takeover of the others.
		if said := recover(); said != nil {
			loaded, c.Err = nil, &LoadError{File: c.Files[0], Err: fmt.Errorf("the loader has failed: %v", said)}
		}
	}()
	options, err := cli.NewProjectOptions(c.Files, append([]cli.ProjectOptionsFn{
		cli.WithWorkingDirectory(c.Directory),
		cli.WithResourceLoader(refuseRemote{}),
		cli.WithEnv(pairs(c.env)),
		cli.WithDefaultProfiles(),
		cli.WithLoadOptions(func(o *loader.Options) {
			if o.Interpolate != nil { // nil while the files are only looked for
				o.Interpolate.Substitute = unset.substitute
			}
		}),
	}, more...)...)
	if err == nil {
		loaded, err = options.LoadProject(ctx)
	}
	if err != nil {
		c.Err = &LoadError{File: c.Files[0], Err: err}
		return nil
	}
	c.Name = loaded.Name
	return loaded
}

// homeless says that a ~ was left in a path as if it were a folder's name.
func homeless(bind string) bool {
	return slices.Contains(strings.Split(bind, string(filepath.Separator)), "~")
}

func pairs(env map[string]string) []string {
	list := make([]string, 0, len(env))
	for key, value := range env {
		list = append(list, key+"="+value)
	}
	return list
}

// unsetVariables collects the variables that are replaced by nothing.
type unsetVariables struct{ names map[string]bool }

// plain matches a variable without a default of its own; $$ is a dollar.
var plain = regexp.MustCompile(`\$(?:\$|\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))`)

func (u *unsetVariables) substitute(text string, lookup template.Mapping) (string, error) {
	if strings.Contains(text, "$") {
		for _, found := range plain.FindAllStringSubmatch(text, -1) {
			name := found[1] + found[2]
			if _, set := lookup(name); name != "" && !set {
				u.names[name] = true
			}
		}
	}
	return template.Substitute(text, lookup)
}

func (u *unsetVariables) warnings() []string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(u.names)) {
		list = append(list, fmt.Sprintf("variable %s is not set and counts as empty: set it in the project's .env", name))
	}
	return list
}
