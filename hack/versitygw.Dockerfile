# The bundled store where no registry is at hand: versitygw's static binary and the certificate authorities.
FROM scratch
COPY versitygw /usr/bin/versitygw
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
USER 65532:65532
ENTRYPOINT ["/usr/bin/versitygw"]
