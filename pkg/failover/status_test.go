package failover

import (
	"errors"
	"reflect"
	"testing"

	"github.com/understudy-ha/understudy/pkg/compose"
	"github.com/understudy-ha/understudy/pkg/docker"
)

func TestJudgeServices(t *testing.T) {
	service := func(name, restart string) compose.Service { return compose.Service{Name: name, Restart: restart} }
	up := func(project, service, state string) docker.Container {
		return docker.Container{Project: project, Service: service, State: state}
	}
	projects := []compose.Project{
		{Name: "whole", Services: []compose.Service{service("web", "unless-stopped"), service("setup", "no")}},
		{Name: "lame", Services: []compose.Service{service("web", "always"), service("db", "unless-stopped"), service("job", "unless-stopped")}},
		{Name: "stopped", Services: []compose.Service{service("web", "always")}},
		{Name: "broken", Err: errors.New("line 3")},
	}
	got := judgeServices(projects, []docker.Container{
		up("whole", "web", "running"), up("lame", "web", "running"), up("lame", "db", "paused"), up("other", "web", "running"),
	})
	want := &ServicesStatus{
		Projects: 4, Running: []string{"whole", "lame"}, Stopped: []string{"stopped", "broken"},
		Lame: []string{"lame/db paused", "lame/job stopped"}, Broken: []string{"broken: line 3"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
