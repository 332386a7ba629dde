# syntax=docker/dockerfile:1
# One static binary for every role. The private PostgreSQL of `serve` with nothing
# set needs a C library and is not for this image: set DATABASE_URL.
FROM golang:1.26 AS build
WORKDIR /src
COPY . .
ARG VERSION=dev
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/var/cache/go-build \
    GOCACHE=/var/cache/go-build CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /out/madbase . \
    && mkdir /out/data

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/madbase /madbase
COPY --from=build --chown=nonroot:nonroot /out/data /data
COPY LICENSE NOTICE /
ENV MADBASE_DATA_DIR=/data
VOLUME /data
EXPOSE 8000 8001 8002
USER nonroot
HEALTHCHECK --interval=5s --timeout=6s --start-period=30s --retries=3 CMD ["/madbase", "health"]
ENTRYPOINT ["/madbase"]
CMD ["serve"]
