package httpx

import (
	"io"
	"net/http"
	"time"
)

const (
	// unreadBody is how much of a body in bytes net/http itself reads on after an answer.
	unreadBody = 256 << 10
	// lingerTime and lingerBytes bound what is read on here.
	lingerTime  = 5 * time.Second
	lingerBytes = 128 << 20
)

// Refuse writes an answer, by answer, to a request whose body may not have been read
// to its end. The connection is closed after it; but a client that still sends would
// meet a reset, often before it reads the answer, and would send it all again. So
// what it sends until it has read the answer is taken, for a while.
func Refuse(w http.ResponseWriter, r *http.Request, answer func() error) error {
	small := r.ContentLength >= 0 && r.ContentLength <= unreadBody
	control := http.NewResponseController(w)
	if small || control.EnableFullDuplex() != nil {
		return answer()
	}
	w.Header().Set("Connection", "close")
	if err := answer(); err != nil {
		return err
	}
	if control.Flush() == nil && control.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
		_, _ = io.CopyN(io.Discard, r.Body, lingerBytes) // whatever comes of it, the connection ends
	}
	return nil
}
