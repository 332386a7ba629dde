package httpx

import (
	"io"
	"net/http"

	"github.com/labstack/echo/v4"
)

// Send copies src to the client of w, whose header must have been written, and
// returns the number of bytes. It goes past Echo's writers, which hide that a
// connection may take a file without a copy, and keeps their books: in role all
// there is one of the gateway and one of the module behind it.
func Send(w *echo.Response, src io.Reader) (int64, error) {
	var books []*echo.Response
	var client http.ResponseWriter = w
	for {
		outer, ok := client.(*echo.Response)
		if !ok {
			break
		}
		books, client = append(books, outer), outer.Writer
	}
	n, err := io.Copy(client, src)
	for _, b := range books {
		b.Size += n
	}
	return n, err
}
