package openapi

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
)

// Server is where callers reach the API.
type Server struct {
	Scheme, Host string
	Port         int
	Path         string
}

// ParseServer reads an http or https address; nothing is no server.
func ParseServer(text string) (Server, error) {
	if text == "" {
		return Server{}, nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return Server{}, errors.New("openapi: not an http or https address")
	}
	s := Server{Scheme: strings.ToLower(u.Scheme), Host: u.Hostname(), Path: u.Path}
	if s.Path == "" {
		s.Path = "/"
	}
	standard := map[string]int{"http": 80, "https": 443}
	if s.Port = standard[s.Scheme]; s.Port == 0 {
		return Server{}, errors.New("openapi: not an http or https address")
	}
	if u.Port() != "" {
		if s.Port, err = strconv.Atoi(u.Port()); err != nil {
			return Server{}, errors.New("openapi: the port is not a number")
		}
	}
	return s, nil
}

// Addressed is the server that a request's header Host names, with the path that
// the API is mounted at.
func Addressed(host, path string) Server {
	s, err := ParseServer("http://" + host + path)
	if err != nil { // a header can hold anything
		return Server{Scheme: "http", Host: "localhost", Port: 80, Path: "/"}
	}
	return s
}

// hostPort is the server as OpenAPI has it, an IPv6 address in brackets.
func (s Server) hostPort() string {
	host := s.Host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + strconv.Itoa(s.Port)
}
