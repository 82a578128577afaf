#!/usr/bin/env bash
# build.sh: set up, build, show and test HAKMEM. `./build.sh help` says what it does.
#
# It installs what is missing from Debian's or Ubuntu's packages, and says so first. Everything it builds goes to out/.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1
export LC_ALL=C.UTF-8

usage() {
	cat <<'TXT'
Usage: ./build.sh COMMAND

  demo      build, then watch a real program (python3) run on HAKMEM: a live screen on a terminal, text frames without one
  test      build in every configuration (gcc, clang, ASan+UBSan, TSan), run all tests, and check; the last line counts them
  TARGET    build one CMake target into out/release/, for instance
              hakmem                        libhakmem.so, which programs preload
              hakmem-top                    the viewer
              bench_random_mixed_hakmem     the benchmark, linked with HAKMEM
              bench_random_mixed_system     the same without
              all                           everything but the tests
  check     clang-tidy and cppcheck over all C and C++, or the files named; fails on any finding
  aarch64   cross-build for aarch64, run unit, stress and preload tests under qemu; the last line counts them
  help      this text

Packages that are missing are installed with apt-get; without root they are listed instead and nothing is done.
TXT
}

say() { printf 'build.sh: %s\n' "$*"; }
die() { printf 'build.sh: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }
header() { local d; for d in /usr/include /usr/include/*-linux-gnu /usr/local/include; do [ -e "$d/$1" ] && return; done; return 1; }
module() { have pkg-config && pkg-config --exists "$1"; }
have_redis() { have redis-server || have redis-check-rdb; }
have_jsonschema() { [ -x /usr/bin/python3 ] && /usr/bin/python3 -c 'import jsonschema' 2>/dev/null; }

# What each purpose needs: a probe that succeeds if it is there, and the package it comes from. redis-tools holds the server's
# binary too, without the service that the package redis-server would start.
build_needs='
have cmake            | cmake
have ninja            | ninja-build
have gcc              | gcc
have g++              | g++
header stdlib.h       | libc6-dev
have pkg-config       | pkg-config
module libcjson       | libcjson-dev
module ncursesw       | libncurses-dev
module zlib           | zlib1g-dev
module libdw          | libdw-dev
header libiberty/demangle.h | libiberty-dev
header sys/sdt.h      | systemtap-sdt-dev
'
demo_needs='
test -x /usr/bin/python3 | python3
'
test_needs='
test -x /usr/bin/python3 | python3
module cunit          | libcunit1-dev
have_jsonschema       | python3-jsonschema
have clang            | clang
have gdb              | gdb
have git              | git
have jq               | jq
have perl             | perl
have redis-benchmark  | redis-tools
have_redis            | redis-tools
have readelf          | binutils
have setarch          | util-linux
have socat            | socat
have sqlite3          | sqlite3
have strace           | strace
have tmux             | tmux
have valgrind         | valgrind
have node             | nodejs
'
check_needs='
test -x /usr/bin/python3 | python3
module cunit          | libcunit1-dev
have clang            | clang
have clang-tidy       | clang-tidy
have cppcheck         | cppcheck
'
aarch64_needs='
test -x /usr/bin/python3 | python3
have aarch64-linux-gnu-gcc | gcc-aarch64-linux-gnu
have aarch64-linux-gnu-g++ | g++-aarch64-linux-gnu
have qemu-aarch64     | qemu-user
'

# Prints the packages of the list $1 whose probe fails.
missing_packages() {
	local probe package
	while IFS='|' read -r probe package; do
		[ -n "${probe// /}" ] || continue
		$probe >/dev/null 2>&1 || printf '%s\n' "${package// /}"
	done <<<"$1" | sort -u
}

# Makes sure that everything of the lists given is there, or stops.
need() {
	local missing
	missing=$(missing_packages "$*" | tr '\n' ' ')
	missing=${missing% }
	[ -n "$missing" ] || return 0
	local update='apt-get update'
	local install="apt-get install -y --no-install-recommends $missing"
	have apt-get || die "missing: $missing (names of Debian packages). This is no Debian or Ubuntu: please install them by hand."
	if [ "$(id -u)" -ne 0 ]; then
		printf 'build.sh: missing packages: %s\nAs root, run:\n  %s && %s\n' "$missing" "$update" "$install" >&2
		exit 1
	fi
	say "installing missing packages: $missing"
	export DEBIAN_FRONTEND=noninteractive
	$update >/dev/null || die "apt-get update failed"
	$install >/dev/null </dev/null || die "apt-get install failed: $install"
	missing=$(missing_packages "$*" | tr '\n' ' ')
	[ -z "$missing" ] || die "still missing after installation: $missing"
}

# Configures build directory $1 with the CMake options that follow. A directory that was configured for another place (a checkout
# that was moved or copied) is made anew, because CMake refuses it.
configure() {
	local dir=$1 log status
	shift
	if [ -e "$dir/CMakeCache.txt" ] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$PWD" "$dir/CMakeCache.txt"; then
		say "$dir belongs to another checkout: making it anew"
		rm -rf "$dir"
	fi
	local generator=()
	[ -e "$dir/CMakeCache.txt" ] || generator=(-G Ninja)
	log=$(cmake -S . -B "$dir" "${generator[@]}" "$@" 2>&1)
	status=$?
	[ $status -eq 0 ] || printf '%s\n' "$log" >&2
	return $status
}

# Builds the targets $2… in build directory $1.
compile() {
	local dir=$1 target targets=()
	shift
	for target in "$@"; do
		targets+=(--target "$target")
	done
	cmake --build "$dir" -j "$(nproc)" "${targets[@]}"
}

release() {
	configure out/release -DCMAKE_BUILD_TYPE=Release && compile out/release "$@"
}

demo() {
	need "$build_needs" "$demo_needs"
	release all || die "the build failed"
	export PYTHONMALLOC=malloc # or CPython would serve small objects from arenas of its own
	# Frames of text where no screen can be driven: input or output is no terminal, or it can't move the cursor.
	if [ -t 0 ] && [ -t 1 ] && [ "${TERM:-dumb}" != dumb ]; then
		exec ./out/release/hakmem-top -- /usr/bin/python3 tests/demo/phases.py 120
	fi
	./out/release/hakmem-top -b -n 6 -d 1 -- /usr/bin/python3 tests/demo/phases.py 8
}

# Runs the tests of build directory $1 and writes ctest's report to $2; options of ctest may follow. More at a time than there are
# processors, because half of a test's time is waiting. TSan of older compilers can't place its shadow where the kernel randomises
# addresses widely; the tests run without that, where it may be switched off.
run_tests() {
	local dir=$1 report=$2 wrapper=()
	shift 2
	setarch "$(uname -m)" -R true 2>/dev/null && wrapper=(setarch "$(uname -m)" -R)
	rm -f "$report"
	"${wrapper[@]}" ctest --test-dir "$dir" -j "$((2 * $(nproc)))" --output-on-failure --no-tests=error \
		--test-output-size-passed 1000000 --output-junit "$report" "$@"
}

# Builds a configuration of the test run: name, what to build, CMake options. A warning is an error. A failure goes to
# out/results/NAME.failed.
build_configuration() {
	local name=$1 target=$2 results=$PWD/out/results
	shift 2
	say "configuration $name: building"
	configure "out/$name" -DCMAKE_COMPILE_WARNING_AS_ERROR=ON "$@" >"$results/$name.log" 2>&1 &&
		compile "out/$name" $target >>"$results/$name.log" 2>&1 && return
	cat "$results/$name.log"
	printf 'the build of configuration %s failed\n' "$name" >"$results/$name.failed"
	return 1
}

# The tests of configuration $1, which is built; their outcome goes to out/results/NAME.xml. Of what clang built every test of the
# library runs, since a compiler can change its outcome; the others look at the same scripts and pictures once more.
test_configuration() {
	local name=$1 results=$PWD/out/results options=()
	say "configuration $name: running its tests"
	if [ "$name" = clang ]; then
		options=(--exclude-regex '^(screen/|demo/|bench/loads_)')
		say "configuration $name: left out, as in release they test scripts and the viewer's pictures: screen, demo, bench/loads_…"
	fi
	run_tests "out/$name" "$results/$name.xml" "${options[@]}"
	[ -s "$results/$name.xml" ] || printf 'ctest made no report in configuration %s\n' "$name" >"$results/$name.failed"
}

# clang-tidy and cppcheck, over all files or those named. With assertions, which tell the checkers what holds.
check() {
	configure out/check -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ &&
		/usr/bin/python3 tests/lint.py out/check "$@"
}

# The check as one more configuration of the test run: it passes without a finding.
check_configuration() {
	local results=$PWD/out/results
	say "configuration check: clang-tidy and cppcheck"
	if check >"$results/check.log" 2>&1; then
		printf 'clang-tidy and cppcheck\n' >"$results/check.built"
		return
	fi
	cat "$results/check.log"
	printf 'clang-tidy and cppcheck: %s\n' "$(tail -n 1 "$results/check.log")" >"$results/check.failed"
}

# Builds what is tested, one configuration after the other, then checks the sources; prints the name of each that is ready for its
# tests. What it has to say goes to descriptor 3. It takes the time that the tests leave: these come first.
build_all() {
	local gcc=(-DCMAKE_BUILD_TYPE=Release) clang=(-DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++) sanitized=(-DCMAKE_BUILD_TYPE=Debug)
	renice -n 10 -p "$BASHPID" >/dev/null 2>&1
	# The library without tracepoints is where the experiments look for it, and ready before they run.
	build_configuration release-untraced hakmem "${gcc[@]}" -DHAKMEM_TRACE=OFF >&3 &&
		printf 'the build of configuration release-untraced\n' >out/results/release-untraced.built
	build_configuration release "all tests" "${gcc[@]}" >&3 && echo release
	build_configuration tsan tests "${sanitized[@]}" -DHAKMEM_SANITIZE=thread >&3 && echo tsan
	build_configuration clang "all tests" "${gcc[@]}" "${clang[@]}" >&3 && echo clang
	build_configuration asan tests "${sanitized[@]}" -DHAKMEM_SANITIZE=address,undefined >&3 && echo asan
	check_configuration >&3
}

# The tests of a configuration run while the next ones are built.
test_all() {
	local name
	need "$build_needs" "$test_needs" "$check_needs"
	rm -rf out/results
	mkdir -p out/results
	{
		build_all | while read -r name; do
			test_configuration "$name" </dev/null
		done
	} 3>&1
	/usr/bin/python3 tests/summary.py out/results
}

case "${1:-help}" in
help | -h | --help) usage ;;
demo) demo ;;
test) test_all ;;
check)
	need "$build_needs" "$check_needs"
	check "${@:2}"
	;;
aarch64)
	need "$build_needs" "$aarch64_needs"
	exec tests/aarch64/run
	;;
-*) usage >&2; exit 2 ;;
*)
	need "$build_needs"
	release "$@"
	;;
esac
