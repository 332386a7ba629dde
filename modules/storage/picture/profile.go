package picture

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"hash/crc32"
	"image"
	"io"
)

// maxProfile is the most bytes of a colour profile that is kept.
const maxProfile = 1 << 20

// jpegProfile begins the segments of a JPEG that hold its profile; two bytes that count them follow.
const jpegProfile = "ICC_PROFILE\x00"

// usefulProfile returns a colour profile as long as it says what a picture without
// one does not mean anyway: phones save colours beyond sRGB by such profiles, and
// look pale without them. Only those of RGB fit what is written.
func usefulProfile(p []byte) []byte {
	const space = 16 // where the header names it
	switch {
	case len(p) < 128 || len(p) > maxProfile || string(p[space:space+4]) != "RGB ":
		return nil
	case bytes.Contains(p, []byte("sRGB")), bytes.Contains(p, []byte("s\x00R\x00G\x00B")):
		return nil
	}
	return p
}

// inflateProfile reads what a PNG's iCCP chunk holds: a name, a zero, the method (zero), and the profile.
func inflateProfile(chunk []byte) []byte {
	_, rest, found := bytes.Cut(chunk, []byte{0})
	if !found || len(rest) < 1 || rest[0] != 0 {
		return nil
	}
	r, err := zlib.NewReader(bytes.NewReader(rest[1:]))
	if err != nil {
		return nil
	}
	profile, err := io.ReadAll(io.LimitReader(r, maxProfile+1))
	if err != nil {
		return nil
	}
	return profile
}

// withProfile is a writer that puts profile where the encoded picture written to it has room for one.
func withProfile(to io.Writer, img image.Image, format Format, profile []byte) io.Writer {
	switch img.(type) {
	case *image.Gray, *image.Gray16:
		return to
	}
	switch {
	case len(profile) == 0:
	case format == JPEG:
		return &splicer{w: to, before: 2, extra: profileSegments(profile)}
	case format == PNG:
		return &splicer{w: to, before: len(pngMark) + 25, extra: profileChunk(profile)}
	}
	return to
}

// profileSegments are a JPEG's.
func profileSegments(profile []byte) []byte {
	const most = 65000
	var out []byte
	count := (len(profile) + most - 1) / most
	for i := range count {
		part := profile[i*most : min((i+1)*most, len(profile))]
		out = append(out, 0xff, 0xe2)
		out = binary.BigEndian.AppendUint16(out, uint16(2+len(jpegProfile)+2+len(part)))
		out = append(out, jpegProfile...)
		out = append(out, byte(i+1), byte(count))
		out = append(out, part...)
	}
	return out
}

// profileChunk is a PNG's.
func profileChunk(profile []byte) []byte {
	var data bytes.Buffer
	data.WriteString("iCCPprofile\x00\x00")
	z := zlib.NewWriter(&data)
	_, _ = z.Write(profile) // a buffer takes everything
	_ = z.Close()
	out := binary.BigEndian.AppendUint32(nil, uint32(data.Len()-4))
	out = append(out, data.Bytes()...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(data.Bytes()))
}

// splicer writes extra after the first bytes of what is written.
type splicer struct {
	w      io.Writer
	before int
	extra  []byte
}

// Write implements io.Writer.
func (s *splicer) Write(p []byte) (int, error) {
	if len(s.extra) == 0 || len(p) < s.before {
		n, err := s.w.Write(p)
		s.before -= n
		return n, err
	}
	first, err := s.w.Write(p[:s.before])
	if err != nil {
		return first, err
	}
	extra := s.extra
	s.extra = nil
	if _, err := s.w.Write(extra); err != nil {
		return first, err
	}
	rest, err := s.w.Write(p[first:])
	return first + rest, err
}
