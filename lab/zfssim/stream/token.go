package stream

import (
	"bytes"
	"compress/zlib"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Token is the point from which a cut receive can continue. It has the form of
// a real token (version, checksum, length, packed contents) but packs JSON.
type Token struct {
	FromGUID uint64 `json:",omitempty"`
	Object   uint64
	Offset   uint64
	Bytes    uint64
	ToGUID   uint64
	ToName   string
	Large    bool `json:",omitempty"`
	Embed    bool `json:",omitempty"`
	Compress bool `json:",omitempty"`
	Raw      bool `json:",omitempty"`
}

func (t Token) Encode() string {
	plain, err := json.Marshal(t)
	if err != nil {
		return ""
	}
	var packed bytes.Buffer
	w := zlib.NewWriter(&packed)
	w.Write(plain)
	w.Close()
	return fmt.Sprintf("1-%x-%x-%s", fletcher4(packed.Bytes()), len(plain), hex.EncodeToString(packed.Bytes()))
}

// DecodeToken reads a token; what is wrong with it is said in libzfs' words.
func DecodeToken(s string) (t Token, why string) {
	var version uint
	var sum, size uint64
	parts := strings.Split(s, "-")
	if len(parts) < 4 {
		return t, "resume token is corrupt (invalid format)"
	}
	if n, _ := fmt.Sscanf(strings.Join(parts[:3], " "), "%d %x %x", &version, &sum, &size); n != 3 {
		return t, "resume token is corrupt (invalid format)"
	}
	if version != 1 {
		return t, fmt.Sprintf("resume token is corrupt (invalid version %d)", version)
	}
	packed, err := hex.DecodeString(parts[len(parts)-1])
	if err != nil && len(packed) < len(parts[len(parts)-1])/2 {
		return t, "resume token is corrupt (payload is not hex-encoded)"
	}
	if fletcher4(packed) != sum {
		return t, "resume token is corrupt (incorrect checksum)"
	}
	r, err := zlib.NewReader(bytes.NewReader(packed))
	if err != nil {
		return t, "resume token is corrupt (decompression failed)"
	}
	plain, err := io.ReadAll(io.LimitReader(r, 1<<20))
	if err != nil || uint64(len(plain)) != size {
		return t, "resume token is corrupt (decompression failed)"
	}
	if err := json.Unmarshal(plain, &t); err != nil {
		return t, "resume token is corrupt (nvlist_unpack failed)"
	}
	return t, ""
}

// fletcher4 is the first word of the check sum of that name.
func fletcher4(b []byte) uint64 {
	sum := uint64(0)
	for i := 0; i+4 <= len(b); i += 4 {
		sum += uint64(b[i]) | uint64(b[i+1])<<8 | uint64(b[i+2])<<16 | uint64(b[i+3])<<24
	}
	return sum
}

// Print shows a token as nvlist_print does.
func (t Token) Print(w io.Writer) {
	fmt.Fprintln(w, "resume token contents:")
	fmt.Fprintln(w, "nvlist version: 0")
	if t.FromGUID != 0 {
		fmt.Fprintf(w, "\tfromguid = 0x%x\n", t.FromGUID)
	}
	fmt.Fprintf(w, "\tobject = 0x%x\n\toffset = 0x%x\n\tbytes = 0x%x\n\ttoguid = 0x%x\n\ttoname = %s\n",
		t.Object, t.Offset, t.Bytes, t.ToGUID, t.ToName)
	for _, f := range []struct {
		on   bool
		name string
	}{{t.Large, "largeblockok"}, {t.Embed, "embedok"}, {t.Compress, "compressok"}, {t.Raw, "rawok"}} {
		if f.on {
			fmt.Fprintf(w, "\t%s = 1\n", f.name)
		}
	}
}
