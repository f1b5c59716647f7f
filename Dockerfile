FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o /postern ./cmd/postern && mkdir -m 700 /data

FROM scratch
COPY --from=build /postern /postern
COPY --from=build --chown=65532:65532 /data /data
USER 65532:65532
VOLUME /data
EXPOSE 8080
ENV POSTERN_SERVER_DATA=/data POSTERN_REST_LISTEN=0.0.0.0:8080
ENTRYPOINT ["/postern"]
CMD ["serve"]
