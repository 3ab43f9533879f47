package drill

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/understudy-ha/understudy/lab"
	"github.com/understudy-ha/understudy/lab/container"
	"github.com/understudy-ha/understudy/lab/image"
)

// Places on the nodes of a site.
const (
	// Checkout is the folder of the owner's services on both nodes.
	Checkout = "/srv/server"
	// Apps is the dataset that holds a dataset for each application; it is
	// mounted at a folder of the same name.
	Apps = Pool + "/apps"
	// nodeEnv tells containers the name of their node.
	nodeEnv = "/etc/lab/node.env"
)

// Applications returns the projects beside Traefik, each with a dataset of its
// own and another restart policy. On emulated machines there are two: each
// start costs many seconds of Compose.
func Applications(kind lab.Kind) []string {
	if kind == lab.VM {
		return []string{"app1", "app2"}
	}
	return []string{"app1", "app2", "app3"}
}

var restartPolicies = map[string]string{"app1": "always", "app2": "unless-stopped", "app3": `"no"`}

// images are the files of the two container images of a site.
type images struct{ traefik, webapp string }

// makeImages makes the images in a folder. Virtual machines get the real
// Traefik; namespaces get a stand-in that behaves alike and starts at once.
func makeImages(ctx context.Context, kind lab.Kind, webapp, dir string) (images, error) {
	i := images{traefik: filepath.Join(dir, "traefik.tar"), webapp: filepath.Join(dir, "webapp.tar")}
	traefik := webapp
	if kind == lab.VM {
		var err error
		if traefik, err = container.Traefik(ctx, image.CacheDir(), os.Stderr); err != nil {
			return i, err
		}
	}
	if err := container.Write(i.traefik, "traefik:lab", traefik); err != nil {
		return i, err
	}
	return i, container.Write(i.webapp, "webapp:lab", webapp)
}

// Slow is the extra time that the containers of a project take.
type Slow struct{ Start, Stop string } // as time.ParseDuration takes them

func (s Slow) args() string {
	var args string
	if s.Start != "" {
		args += ", -slow-start=" + s.Start
	}
	if s.Stop != "" {
		args += ", -slow-stop=" + s.Stop
	}
	return args
}

// files returns the projects' files by their path below Checkout.
func files(kind lab.Kind, slow map[string]Slow) map[string]string {
	all := map[string]string{}
	for _, name := range Applications(kind) {
		all["apps/"+name+"/docker-compose.yml"] = fmt.Sprintf(`services:
  %[1]s:
    image: webapp:lab
    command: [app, -name=%[1]s%[2]s]
    restart: %[3]s
    env_file: %[4]s
    volumes: ["/%[5]s/%[1]s:/data"]
    networks: [proxy]
networks:
  proxy: {external: true}
`, name, slow[name].args(), restartPolicies[name], nodeEnv, Apps)
	}
	command, volumes := "[proxy"+slow["traefik"].args()+"]", ""
	if kind == lab.VM {
		command = `[--ping=true, "--entrypoints.web.address=:80", "--entrypoints.traefik.address=:8080",
      --providers.file.filename=/routes.yml, --global.checknewversion=false, --global.sendanonymoususage=false]`
		volumes = "    volumes: [\"./routes.yml:/routes.yml:ro\"]\n"
		all["apps/traefik/routes.yml"] = routes(Applications(kind))
	}
	all["apps/traefik/docker-compose.yml"] = fmt.Sprintf(`services:
  traefik:
    image: traefik:lab
    container_name: traefik
    command: %s
    restart: unless-stopped
    ports: ["80:80", "127.0.0.1:8080:8080"]
%s    networks: [proxy]
networks:
  proxy: {external: true}
`, command, volumes)
	return all
}

// routes is Traefik's own file: /NAME/… goes to http://NAME:8000/….
func routes(names []string) string {
	var routers, middlewares, services strings.Builder
	for _, name := range names {
		fmt.Fprintf(&routers, "    %[1]s: {rule: 'PathPrefix(`/%[1]s/`)', service: %[1]s, middlewares: [%[1]s], entryPoints: [web]}\n", name)
		fmt.Fprintf(&middlewares, "    %[1]s: {stripPrefix: {prefixes: [/%[1]s]}}\n", name)
		fmt.Fprintf(&services, "    %[1]s: {loadBalancer: {servers: [{url: 'http://%[1]s:8000'}]}}\n", name)
	}
	return "http:\n  routers:\n" + routers.String() + "  middlewares:\n" + middlewares.String() + "  services:\n" + services.String()
}

// SetProjects writes the projects' files on a node; slow names those with extra
// times. Existing containers stay unchanged.
func SetProjects(ctx context.Context, n lab.Node, slow map[string]Slow) error {
	for path, text := range files(n.Kind(), slow) {
		if err := WriteFile(ctx, n, Checkout+"/"+path, text); err != nil {
			return err
		}
	}
	return nil
}
