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
