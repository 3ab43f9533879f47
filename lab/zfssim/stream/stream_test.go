package stream

import (
	"bufio"
	"bytes"
	"errors"
	"strings"
	"testing"
)

// written is a stream of a few records.
func written(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	w := &RecordWriter{W: bufio.NewWriter(&out)}
	w.W.WriteString(StreamMagic)
	if err := w.WriteJSON(RecBegin, BeginRecord{ToName: "tank/a@1", ToGUID: 1<<63 + 1}); err != nil {
		t.Fatal(err)
	}
	if err := w.Write(RecData, DataRecord(7, "id", []byte("contents"))); err != nil {
		t.Fatal(err)
	}
	if err := w.Write(RecEnd, nil); err != nil {
		t.Fatal(err)
	}
	w.W.Flush()
	return out.Bytes()
}

// read reads all records, and returns the error that ends them.
func read(data []byte) (kinds string, err error) {
	r := NewRecordReader(bytes.NewReader(data))
	if err := r.Start(); err != nil {
		return "", err
	}
	for {
		kind, payload, err := r.Next()
		if err != nil {
			return kinds, err
		}
		kinds += string(kind)
		if kind == RecData {
			if place, id, data, err := ParseDataRecord(payload); err != nil || place != 7 || id != "id" || string(data) != "contents" {
				return kinds, errors.New("other data")
			}
		}
	}
}

func TestRecords(t *testing.T) {
	data := written(t)
	if kinds, err := read(data); kinds != "BDE" || !errors.Is(err, ErrTruncated) {
		t.Errorf("%s, %v", kinds, err)
	}
	for cut := range data {
		if _, err := read(data[:cut]); err == nil {
			t.Errorf("a stream of %d bytes ends well", cut)
		}
	}
	for i := range data {
		broken := bytes.Clone(data)
		broken[i] ^= 0x20
		if kinds, err := read(broken); kinds == "BDE" && errors.Is(err, ErrTruncated) {
			t.Errorf("a wrong byte %d is not noticed", i)
		}
	}
	if _, err := read([]byte("something else")); !errors.Is(err, ErrMagic) {
		t.Errorf("%v", err)
	}
}

func TestTokens(t *testing.T) {
	token := Token{FromGUID: 1, Object: 2, Offset: 3, Bytes: 4, ToGUID: 1<<64 - 1, ToName: "tank/a b@1", Raw: true}
	text := token.Encode()
	if got, why := DecodeToken(text); why != "" || got != token {
		t.Errorf("%+v, %s", got, why)
	}
	var out bytes.Buffer
	token.Print(&out)
	if !strings.Contains(out.String(), "\ttoguid = 0xffffffffffffffff\n\ttoname = tank/a b@1\n\trawok = 1\n") {
		t.Errorf("%s", out.String())
	}
	parts := strings.Split(text, "-")
	for _, c := range []struct{ text, want string }{
		{"nonsense", "invalid format"},
		{"2-" + strings.Join(parts[1:], "-"), "invalid version 2"},
		{strings.Join(parts[:3], "-") + "-zz", "payload is not hex-encoded"},
		{parts[0] + "-1-" + strings.Join(parts[2:], "-"), "incorrect checksum"},
		{text[:len(text)-8], "incorrect checksum"},
		{parts[0] + "-" + parts[1] + "-1-" + parts[3], "decompression failed"},
	} {
		if _, why := DecodeToken(c.text); !strings.Contains(why, c.want) {
			t.Errorf("%s: %q, want %q", c.text, why, c.want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(StreamMagic))
	f.Add([]byte(StreamMagic + "B\x00\x00\x00\x02{}\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := read(data); err == nil {
			t.Error("a stream has no end")
		}
		DecodeToken(string(data))
	})
}
