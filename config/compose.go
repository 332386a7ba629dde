package config

import "strings"

// ComposeSettings are the variables that only the compose files read, so that
// one .env serves both them and madbase. They are documented here because
// nothing else in the program knows them.
func ComposeSettings() []Setting {
	return []Setting{
		{Name: "POSTGRES_PASSWORD", Type: "secret", Group: "required", Section: "Compose", Doc: "Password that the compose files give to PostgreSQL's owner; letters and digits only, as it becomes part of a URL."},
		{Name: "MINIO_ROOT_PASSWORD", Type: "secret", Group: "storage", Section: "Compose", Doc: "Secret key that the compose files give to MinIO and to the workers."},
		{Name: "GRAFANA_ADMIN_PASSWORD", Type: "secret", Group: "optional", Section: "Compose", Doc: "Password of Grafana's user admin in compose/observability.yml."},
		{Name: "MADBASE_WORKERS", Type: "number", Default: "1", Group: "optional", Section: "Compose", Doc: "Workers that the compose files start."},
		{Name: "MADBASE_WORKER_PORTS", Type: "text", Default: "8002", Group: "optional", Section: "Compose", Doc: "Ports of this machine's loopback address for the workers, one each: 8002-8004 for three."},
		{Name: "MADBASE_PROXIES", Type: "number", Default: "1", Group: "optional", Section: "Compose", Doc: "Proxies that the compose files start."},
		{Name: "MADBASE_PROXY_PORTS", Type: "text", Default: "8000", Group: "optional", Section: "Compose", Doc: "Ports of this machine for the proxies, one each: 8010-8011 for two. A load balancer of yours stands before them."},
		{Name: "MADBASE_IMAGE", Type: "text", Default: "madbase:local", Group: "optional", Section: "Compose", Doc: "Image that the compose files run; by default the one that they build."},
	}
}

// composeKnows reports whether name is for docker compose and the files in compose/.
func composeKnows(name string) bool {
	for _, s := range ComposeSettings() {
		if s.Name == name {
			return true
		}
	}
	return strings.HasPrefix(name, "COMPOSE_")
}
