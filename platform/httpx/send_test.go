package httpx_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/madbase/madbase/platform/httpx"
)

// connection is a client whose connection takes readers.
type connection struct {
	*httptest.ResponseRecorder
	taken int64
}

func (c *connection) ReadFrom(r io.Reader) (int64, error) {
	n, err := io.Copy(c.Body, r)
	c.taken += n
	return n, err
}

func TestSendReachesTheConnectionPastBothServers(t *testing.T) {
	inner, front := echo.New(), echo.New()
	var innerSize, frontSize int64
	inner.GET("/file", func(c echo.Context) error {
		c.Response().WriteHeader(http.StatusOK)
		_, err := httpx.Send(c.Response(), io.LimitReader(strings.NewReader("some bytes"), 100))
		innerSize = c.Response().Size
		return err
	})
	front.GET("/file", func(c echo.Context) error {
		inner.ServeHTTP(c.Response(), c.Request())
		frontSize = c.Response().Size
		return nil
	})
	client := &connection{ResponseRecorder: httptest.NewRecorder()}
	front.ServeHTTP(client, httptest.NewRequest(http.MethodGet, "/file", nil))
	if client.Body.String() != "some bytes" || client.taken != 10 || innerSize != 10 || frontSize != 10 {
		t.Errorf("the connection took %d bytes of %q; the books say %d and %d", client.taken, client.Body, innerSize, frontSize)
	}
}
