package compose

import (
	"reflect"
	"strings"
	"testing"

	"github.com/understudy-ha/understudy/pkg/config"
)

// All that a project may be made of counts, whether it would be started or not.
func TestImages(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"app/compose.yaml": `
include: [more.yaml]
services:
  web: {image: "web:${TAG}", env_file: [gone.env, {path: none.env, required: false}]}
  again: {extends: web, env_file: !reset []}
  arm: {image: "web:3", platform: linux/arm64}
  made: {build: .}
  named: {build: ., image: "named:1"}
  off: {image: "off:1", profiles: [rare]}
  on: {image: "on:1", profiles: [daily]}
  both: {image: "both:1", profiles: [rare]}
  both2: {image: "both:1"}
  none: {image: "none:1", scale: 0}
  data:
    image: data
    volumes:
      - {type: image, source: "files:1", target: /files}
      - {type: image, source: made, target: /made}
`,
		"app/compose.override.yaml": "services: {data: {image: 'data:2'}}\n",
		"app/more.yaml":             "services: {more: {image: 'more@sha256:" + strings.Repeat("a", 64) + "'}}\n",
		"app/.env":                  "TAG=3\nCOMPOSE_PROFILES=daily\n",
		"bad/compose.yaml":          "services: {web: {image: }",
	})
	found, err := Images(t.Context(), config.Services{Directory: dir, Projects: []string{"*/compose.yaml"}})
	if err != nil || len(found) != 2 {
		t.Fatalf("%d projects, %v", len(found), err)
	}
	app, bad := found[0], found[1]
	if bad.Err == nil || app.Err != nil {
		t.Errorf("%v, %v", bad.Err, app.Err)
	}
	want := []Image{
		{Ref: "app-made", Services: []string{"made"}, Built: true},
		{Ref: "both:1", Services: []string{"both", "both2"}},
		{Ref: "data:2", Services: []string{"data"}},
		{Ref: "files:1", Services: []string{"data"}},
		{Ref: "more@sha256:" + strings.Repeat("a", 64), Services: []string{"more"}},
		{Ref: "named:1", Services: []string{"named"}, Built: true},
		{Ref: "none:1", Services: []string{"none"}},
		{Ref: "off:1", Services: []string{"off"}, Off: true},
		{Ref: "on:1", Services: []string{"on"}},
		{Ref: "web:3", Services: []string{"again", "web"}},
		{Ref: "web:3", Platform: "linux/arm64", Services: []string{"arm"}},
	}
	if !reflect.DeepEqual(app.Images, want) {
		t.Errorf("got  %+v\nwant %+v", app.Images, want)
	}
	if len(app.Problems) != 1 || !strings.Contains(app.Problems[0], "web: env_file "+dir+"/app/gone.env") {
		t.Errorf("problems: %q", app.Problems)
	}
}
