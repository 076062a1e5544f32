# A PostgreSQL server with reservation in it:
#   docker build -t reservation .
#   docker run -e POSTGRES_PASSWORD=secret -p 5432:5432 reservation

FROM postgres:17-trixie AS build
RUN apt-get update && \
	apt-get install -y --no-install-recommends gcc libc6-dev make "postgresql-server-dev-$PG_MAJOR"
COPY . /reservation
RUN make -C /reservation clean && \
	make -C /reservation with_llvm=no install DESTDIR=/installed

FROM postgres:17-trixie
COPY --from=build /installed /
RUN echo 'CREATE EXTENSION reservation;' >/docker-entrypoint-initdb.d/reservation.sql
CMD ["postgres", "-c", "shared_preload_libraries=reservation"]
