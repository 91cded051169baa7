# The server without a database: DATABASE_URL names one.
FROM rust:1-bookworm AS build
WORKDIR /opiekun
COPY . .
RUN cargo build --release --locked --package opiekun-server

FROM debian:bookworm-slim
RUN useradd --system --home-dir /nonexistent --shell /usr/sbin/nologin opiekun
COPY --from=build /opiekun/target/release/opiekun /usr/local/bin/opiekun
USER opiekun
ENV OPIEKUN_ENV=production \
    OPIEKUN_REQUIRE_DATABASE_URL=1 \
    OPIEKUN_LISTEN=0.0.0.0:8080
EXPOSE 8080
ENTRYPOINT ["opiekun"]
CMD ["serve"]
