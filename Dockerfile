# The image that runs on every node: one static binary, the certificate authorities that TLS trusts, and nothing else.
FROM docker.io/library/rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN hack/dist.sh && mkdir /out && cp "$(hack/dist.sh --path)" /etc/ssl/certs/ca-certificates.crt /out/

# Alone it needs no registry, where the stage `build` is a folder:
#   buildah bud --target runtime --build-context build=FOLDER   (FOLDER/out holds both files)
FROM scratch AS runtime
COPY --from=build /out/btfleet /usr/bin/btfleet
COPY --from=build /out/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
ENV PATH=/usr/bin
# Anybody but root; the number is that of "nonroot" in other images of this kind.
USER 65532:65532
LABEL org.opencontainers.image.title=btfleet \
      org.opencontainers.image.description="The exact vmlinux.h of every node of a cluster" \
      org.opencontainers.image.licenses=Apache-2.0
ENTRYPOINT ["/usr/bin/btfleet"]
