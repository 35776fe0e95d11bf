# The image that runs on every node: one static binary, the certificate authorities that TLS trusts, what the binary is
# made of, and nothing else. For amd64 and arm64, each built on a machine of its kind or one that emulates it (without a
# registry, and across: `make image`, `make arm64`):
#   docker buildx build --platform linux/amd64,linux/arm64 --build-arg VERSION=… --build-arg REVISION=$(git rev-parse HEAD) .
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN hack/dist.sh && mkdir /out \
 && cp "$(hack/dist.sh --path)" "$(hack/dist.sh --path).cdx.json" /etc/ssl/certs/ca-certificates.crt /out/

# Alone it needs no registry, where the stage `build` is a folder (hack/image.sh):
#   buildah bud --target runtime --build-context build=FOLDER   (FOLDER/out holds the three files)
FROM scratch AS runtime
ARG VERSION=dev
ARG REVISION=unknown
COPY --from=build /out/btfleet /usr/bin/btfleet
COPY --from=build /out/btfleet.cdx.json /usr/share/sbom/btfleet.cdx.json
COPY --from=build /out/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
ENV PATH=/usr/bin
# Anybody but root; the number is that of "nonroot" in other images of this kind.
USER 65532:65532
LABEL org.opencontainers.image.title=btfleet \
      org.opencontainers.image.description="The exact vmlinux.h of every node of a cluster" \
      org.opencontainers.image.source=https://github.com/btfleet/btfleet \
      org.opencontainers.image.licenses=Apache-2.0 \
      org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.revision=$REVISION
ENTRYPOINT ["/usr/bin/btfleet"]
