# The binary, the CA certificates and nothing else. The test in e2e/image builds
# this root directory without a container engine and runs it.

FROM --platform=$BUILDPLATFORM golang:1.26.8-bookworm AS build
WORKDIR /src
ENV GOTOOLCHAIN=local GOCACHE=/go/build-cache
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETOS TARGETARCH VERSION
RUN --mount=type=cache,target=/go/build-cache \
    GOOS=$TARGETOS GOARCH=$TARGETARCH make build BIN=/out/oauth-mcp-server VERSION="$VERSION"

FROM scratch
ARG VERSION
LABEL org.opencontainers.image.title="oauth-mcp-server" \
      org.opencontainers.image.description="Puts an existing HTTP API behind MCP as an OAuth 2.1 protected resource" \
      org.opencontainers.image.vendor="Tecro Labs" \
      org.opencontainers.image.version="$VERSION"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/oauth-mcp-server /oauth-mcp-server
ENV LISTEN_ADDR=0.0.0.0:8000
EXPOSE 8000
# Numeric, so that Kubernetes can see that it is not root. No account goes with it.
USER 65532:65532
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3 CMD ["/oauth-mcp-server", "healthcheck"]
ENTRYPOINT ["/oauth-mcp-server"]
CMD ["serve"]
