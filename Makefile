# SPDX-License-Identifier: GPL-3.0-or-later
# Everything runs with Debian's own Python and packages; a target installs what it lacks with apt (tools/install-packages).

PYTHON := /usr/bin/python3
# The Debian that packages are built for: the one of this machine if it is one of these.
SUITES := bookworm trixie
SUITE := $(or $(filter $(SUITES),$(shell . /etc/os-release; echo $$VERSION_CODENAME)),bookworm)
PACKAGES := raspy python3-raspy raspyweb raspy-doc
need := @tools/install-packages

.DEFAULT_GOAL := help
.PHONY: help run test tests devtests systemtest lint bench clean develop start deb debs repo debcheck install uninstall docs

help: ## this list
	@echo "RasPy. The targets:"
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

run: ## the whole stack in the foreground, Ctrl-C ends it (ARGS="--listen tcp://127.0.0.1:5514")
	$(need) run
	@$(PYTHON) -m raspy $(ARGS)

test: ## all tests, and the coverage of every module (below 90 % fails)
	$(need) run test docs repo
	@tools/run-tests

tests: test ## the same

devtests: ## tests without coverage, up to the first failure (TESTS=tests/common/test_config.py)
	$(need) run test docs repo
	@$(PYTHON) -m pytest -x --failed-first $(TESTS)

systemtest: ## the packages on booted Debians 12 and 13: one table of what was checked (SUITE=trixie: one; root only)
	$(need) run test deb repo system
	@tools/run-systemtests $(if $(filter file,$(origin SUITE)),,$(SUITE))

lint: ## ruff, mypy, shellcheck
	$(need) run lint
	@tools/lint

bench: ## the benchmarks, one table (ARGS="--help" for a choice)
	$(need) run bench
	@$(PYTHON) -m tests.benchmarks $(ARGS)

clean: ## remove what the other targets made in this folder
	rm -rf .cache .hypothesis build dist docs/_build *.egg-info .coverage*
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

develop: ## make this folder ready for work: the packages of all targets, and the lint tools
	$(need) run test lint bench docs repo
	@tools/lint --setup
	@echo "Ready: 'make run', 'make test', 'make lint', 'make bench'. Nothing is installed outside this folder but Debian packages."

start: ## start RasPy: the installed service where there is one, else like 'make run'
	@if systemctl cat raspy.target >/dev/null 2>&1; then \
		echo "systemctl start raspy.target"; systemctl start raspy.target; \
	else \
		echo "RasPy is not installed as a service here; starting it in the foreground."; $(MAKE) --no-print-directory run; \
	fi

deb: ## build the Debian packages in a clean Debian, into dist/SUITE (SUITE=trixie; root only)
	@tools/build-deb $(SUITE)

debs: ## the Python libraries that Debian lacks as packages (debian-libraries.txt; root only)
	@tools/build-libraries $(SUITE)

repo: ## a signed apt repository of the packages for Debian 12 and 13, in dist/repo (root only)
	@for suite in $(SUITES); do tools/build-deb $$suite && tools/build-libraries $$suite || exit 1; done
	@tools/make-repo $(SUITES)

debcheck: ## what lintian, piuparts and autopkgtest say of the packages, some minutes (SUITE=trixie; root only)
	@tools/build-deb $(SUITE)
	@tools/check-deb $(SUITE)

install: deb ## build the packages and install them on this machine with apt (root only)
	apt-get -y install $(PACKAGES:%=$(CURDIR)/dist/$(SUITE)/%_*.deb)

uninstall: ## remove the installed packages; state and configuration stay (apt-get purge removes those too; root only)
	apt-get -y remove $(PACKAGES)

docs: ## the manual and the man pages, into docs/_build
	$(need) run docs
	@for kind in html man; do $(PYTHON) -m sphinx -q -W --keep-going -b $$kind docs docs/_build/$$kind || exit 1; done
	@echo "The manual: docs/_build/html/index.html. A man page: man -l docs/_build/man/raspy.7"
