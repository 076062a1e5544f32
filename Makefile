# reservation: hands out finite things, each exactly once
#
#   make demo    watch it work on a throw-away server; on Debian, installs what is missing
#   make bench   what a claim costs, beside the ways without this extension
#   make books   how long the books of a large pool take to check, and what archiving saves
#   make profile how many instructions a call costs, and where they go
#   make metrics scrapes monitor/prometheus-sql-exporter.yml with the real exporter
#   make test    every test, the same way; "make test TIER=tap" runs one tier alone (see test/run)
#   make test-worker   what one session sees, beside a background worker that never rests
#   make line    100,000 join a waiting line from 64 clients, with a crash in the middle
#   make test-clients  the same calls from every driver in docs/clients.md; needs npm's registry
#   make test-proxy    pools on two shards behind a proxy (docs/scale-out.md); part of make test
#   make bench-proxy   what the proxy costs
#   make test-17, make test-18: the same on PostgreSQL 17 and 18, in a chroot (see test/debian)
#   make soak    every function at once from 32 clients, with random kills, for ten minutes
#   make smith   random queries, by sqlsmith, for ten minutes
#   make dist, make deb: the zip for PGXN, the package for this Debian
#   make test-packages: both, and the steps of the Dockerfile, in chroots (see test/packages)
#   make, make install, make installcheck: as for any extension, against your own server

EXTENSION = reservation
EXTVERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" reservation.control)

MODULE_big = reservation
OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c)))
PG_CPPFLAGS = -DRESERVATION_VERSION='"$(EXTVERSION)"'

DATA = $(wildcard sql/*--*--*.sql)
DATA_built = sql/reservation--$(EXTVERSION).sql

DOCS = $(wildcard monitor/*) proxy/reservation_proxy.sql

# what pg_regress must see come out lies in expected/, at the top
REGRESS = $(patsubst test/sql/%.sql,%,$(sort $(wildcard test/sql/*.sql)))
REGRESS_OPTS = --inputdir=test --load-extension=reservation
# its isolation counterpart would look there too, from PostgreSQL 16 on, before test/isolation
ISOLATION = $(patsubst test/isolation/specs/%.spec,%,$(sort $(wildcard test/isolation/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test/isolation --load-extension=reservation \
	$(if $(filter-out 15,$(MAJORVERSION)),--expecteddir=test/isolation)

PG_CONFIG ?= pg_config
export PG_CONFIG
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)

# Debian has pgxs.mk in the client's package: it says nothing of the headers
ifneq ($(and $(wildcard $(PGXS)),$(wildcard $(shell $(PG_CONFIG) --includedir-server 2>/dev/null)/postgres.h)),)
include $(PGXS)
else
major := $(firstword $(subst ., ,$(word 2,$(shell $(PG_CONFIG) --version 2>/dev/null))) 15)
all install installcheck:
	@echo "no PostgreSQL server headers: install postgresql-server-dev-$(major) or set PG_CONFIG" >&2
	@exit 1
endif

sql/reservation--$(EXTVERSION).sql: sql/reservation.sql reservation.control
	cp $< $@

$(OBJS) $(OBJS:.o=.bc): $(wildcard src/*.h) reservation.control

demo:
	test/setup demo && test/demo

bench:
	test/setup bench && test/benchmark

books:
	test/setup books && test/books

profile:
	test/setup profile && test/profile

metrics:
	test/setup metrics && test/metrics

test:
	test/setup test && test/run $(TIER)

test-clients:
	test/setup clients && test/run clients

# These say what nobody has swept yet, or which number is the lowest that nobody has a hand on.
WORKER_MATTERS = checkout_late random stock sweep verify

test-worker:
	test/setup test && WORKER_NAPTIME=50ms test/run regress \
		$(filter-out $(WORKER_MATTERS),$(REGRESS))

test-17:
	test/debian trixie 17

test-18:
	test/debian forky 18

soak:
	test/setup soak && test/soak

smith:
	test/setup smith && test/smith

test-proxy:
	test/setup proxy && test/run tap 030_proxy

bench-proxy:
	test/setup proxy && test/benchmark-proxy

# Unused parameters are allowed: what PostgreSQL calls back has a fixed list of them.
LINT_CFLAGS = -Wall -Wextra -Werror -Wno-unused-parameter
LINTS = format cppcheck warnings assertions version docs

line:
	test/setup test && RSV_LINE_JOINS=100000 RSV_LINE_CLIENTS=64 test/run tap 024_line

lint: $(addprefix lint-,$(LINTS))

lint-format:
	clang-format --dry-run --Werror src/*.c src/*.h
	@echo "lines of at most 100 columns"
	@for file in src/*.c src/*.h; do expand -t 4 $$file | \
		awk -v file=$$file 'length > 100 { print file ":" NR ": " length " columns"; bad = 1 } \
			END { exit bad }' || bad=1; done; exit $${bad:-0}

lint-cppcheck:
	cppcheck --quiet --error-exitcode=1 --enable=warning,performance,portability --inline-suppr \
		-j 2 --max-configs=1 --suppress=toomanyconfigs --suppress=normalCheckLevelMaxBranches \
		-I $(includedir_server) --suppress='*:$(includedir_server)/*' src

lint-warnings lint-assertions:
	@echo "compile every file with $(LINT_CFLAGS) $(LINT_DEFINE)"
	@for file in src/*.c; do $(COMPILE.c) -isystem $(includedir_server) $(LINT_CFLAGS) \
		$(LINT_DEFINE) -o /dev/null $$file || bad=1; done; exit $${bad:-0}
lint-assertions: LINT_DEFINE = -DUSE_ASSERT_CHECKING

lint-version:
	@echo "META.json is what PGXN wants, all versions are $(EXTVERSION)"
	@perl test/meta $(EXTVERSION)

lint-docs:
	@echo "examples in docs/ are the files that they say"
	@perl test/docs docs/*.md

dist:
	mkdir -p dist
	git archive --format=zip --prefix=reservation-$(EXTVERSION)/ \
		--output=dist/reservation-$(EXTVERSION).zip HEAD

# debian/control is for Debian 12, whose PostgreSQL is 15; in the copy it is made for this Debian
deb: dist
	test/setup deb
	rm -rf dist/deb && mkdir dist/deb && cd dist/deb && unzip -q ../reservation-$(EXTVERSION).zip
	cd dist/deb/reservation-$(EXTVERSION) && PG_UPDATECONTROL=yes pg_buildext updatecontrol && \
		dpkg-buildpackage --unsigned-source --unsigned-changes -b
	mv dist/deb/*.deb dist && rm -r dist/deb

test-packages: dist
	GOAL=packages test/debian bookworm 15 test/packages
	GOAL=packages test/debian trixie 17 test/packages
	GOAL=packages test/debian forky 18 test/packages

.PHONY: demo bench books profile metrics test test-worker test-17 test-18 test-packages test-clients \
	test-proxy bench-proxy soak smith line lint $(addprefix lint-,$(LINTS)) dist deb
