package observe

import "testing"

func TestWritableIsWhatNeitherTheMountNorTheFileSystemForbids(t *testing.T) {
	for _, c := range []struct {
		line  string
		point string
		ok    bool
	}{
		{"81 60 0:52 / /tank/apps/app1 rw,noatime shared:1 - zfs tank/apps/app1 rw,xattr", "/tank/apps/app1", true},
		{"81 60 0:52 / /tank/apps/app1 rw,noatime shared:1 - zfs tank/apps/app1 ro,xattr", "/tank/apps/app1", false},
		{"81 60 254:0 /x/3/live /tank/apps ro,relatime - ext4 /dev/vda rw", "/tank/apps", false},
		{"81 60 254:0 /x/3/live /tank/apps rw,relatime - ext4 /dev/vda rw", "/tank/apps", true},
		{"81 60 254:0 / /tank/appstore rw,relatime - ext4 /dev/vda rw", "", false},
		{"nonsense", "", false},
	} {
		point, ok := writableBelow(c.line, "/tank/apps")
		if point != c.point || ok != c.ok {
			t.Errorf("%s: %q, %v", c.line, point, ok)
		}
	}
}

func TestProjectIsReadFromTheCommandLine(t *testing.T) {
	for _, c := range []struct {
		want string
		argv []string
	}{
		{"app1", []string{"/program", "app", "-name=app1"}},
		{"traefik", []string{"/program", "proxy"}},
		{"traefik", []string{"/program", "--ping=true"}},
		{"", []string{"/usr/bin/dockerd"}},
		{"", []string{"/program"}},
	} {
		if got := projectOf(c.argv); got != c.want {
			t.Errorf("%v: %q, want %q", c.argv, got, c.want)
		}
	}
}
