package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"math/rand/v2"
	"runtime"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// makeImage makes an image of the program and a layer of incompressible data.
func makeImage(program []byte, seed, size int64) (v1.Image, error) {
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	data, err := io.ReadAll(io.LimitReader(rand.NewChaCha8(key), size))
	if err != nil {
		return nil, err
	}
	base, err := layer(map[string][]byte{"program": program})
	if err != nil {
		return nil, err
	}
	top, err := layer(map[string][]byte{"data": data})
	if err != nil {
		return nil, err
	}
	image, err := mutate.AppendLayers(empty.Image, base, top)
	if err != nil {
		return nil, err
	}
	file, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.Architecture, file.OS, file.Created = runtime.GOARCH, "linux", v1.Time{Time: time.Unix(1_700_000_000+seed, 0).UTC()}
	file.Config = v1.Config{Entrypoint: []string{"/program"}, Env: []string{"PATH=/"}}
	return mutate.ConfigFile(image, file)
}

func layer(files map[string][]byte) (v1.Layer, error) {
	var b bytes.Buffer
	archive := tar.NewWriter(&b)
	if err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "tmp/", Mode: 0o1777, ModTime: time.Unix(0, 0)}); err != nil {
		return nil, err
	}
	for name, data := range files {
		if err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o755, Size: int64(len(data)), ModTime: time.Unix(0, 0)}); err != nil {
			return nil, err
		}
		if _, err := archive.Write(data); err != nil {
			return nil, err
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil },
		tarball.WithCompressionLevel(gzip.BestSpeed))
}
