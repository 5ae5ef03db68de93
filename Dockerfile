# Both binaries, static, for a user without rights.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN make build

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /src/bin/signalbox /src/bin/signalboxctl /usr/local/bin/
USER 65532:65532
VOLUME /var/lib/signalbox
EXPOSE 9440 9441
ENTRYPOINT ["/usr/local/bin/signalbox"]
CMD ["--config", "/etc/signalbox", "--data", "/var/lib/signalbox"]
