#!/usr/bin/python3
"""The built libraries from outside: what they need, what they export, and how they are linked."""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import CORE_LIBRARY, LIBRARY, SOURCE, check, equal, program, run, tool

LIBC_NAMES = """malloc free calloc realloc reallocarray posix_memalign aligned_alloc memalign valloc pvalloc cfree malloc_usable_size
    free_sized free_aligned_sized mallinfo mallinfo2 mallopt malloc_trim malloc_stats malloc_info
    __libc_malloc __libc_free __libc_calloc __libc_realloc __libc_reallocarray __libc_cfree __libc_memalign __libc_valloc
    __libc_pvalloc __posix_memalign""".split()
NEW = [f"_Zn{kind}m{rest}" for kind in "wa" for rest in ("", "RKSt9nothrow_t", "St11align_val_t",
                                                          "St11align_val_tRKSt9nothrow_t")]
DELETE = [f"_Zd{kind}Pv{rest}" for kind in "la" for rest in ("", "m", "RKSt9nothrow_t", "St11align_val_t", "mSt11align_val_t",
                                                             "St11align_val_tRKSt9nothrow_t")]
# What the public header declares; hak_audit_all is there in test builds only.
PUBLIC = set(re.findall(r"\b(hak_\w+)\(", (SOURCE / "lib/hakmem.h").read_text())) - {"hak_audit_all"}

# Names of the same function: what libc allocates by one of them, a program frees by another.
ALIASES = {"malloc": "__libc_malloc", "free": "__libc_free cfree __libc_cfree", "calloc": "__libc_calloc", "realloc": "__libc_realloc",
           "reallocarray": "__libc_reallocarray", "memalign": "__libc_memalign", "valloc": "__libc_valloc", "pvalloc": "__libc_pvalloc",
           "posix_memalign": "__posix_memalign"}
# What may itself call malloc, or wait for something that does, or isn't ready when ld.so allocates: none of it is even imported.
# malloc_stats and malloc_info print, as libc's do, by fprintf. No signal handler is installed, no stack walked.
FORBIDDEN = re.compile(r"dl(v?sym|m?open|close|addr)|(secure_)?getenv|pthread_once|call_once|__tls_get_addr|backtrace.*|_Unwind_(?!Resume).*"
                       r"|sigaction|signal|v?(sn|s|as)?printf|f(open|close|puts|write|flush)|puts|strdup|getline|opendir|qsort|atexit|"
                       r"__cxa_(atexit|thread_atexit.*)|_Z.*(basic_|iostream|locale).*|mtrace|muntrace|mcheck.*|mprobe|_?obstack.*")
TLS_MAX = 1152  # bytes; libc keeps 1,664 in all for the libraries of a program


def exported(library):
    """The names that the library defines for others."""
    lines = run([tool("nm"), "-D", "--defined-only", library]).stdout.splitlines()
    return {line.split()[-1].split("@")[0] for line in lines}


def check_aliases(library):
    lines = [line.split() for line in run([tool("nm"), "-D", "--defined-only", library]).stdout.splitlines()]
    addresses = {name.split("@")[0]: address for address, _, name in lines}
    for name, others in ALIASES.items():
        for other in others.split():
            equal(addresses[other], addresses[name], f"address of {other}, which is {name}, in {library.name}")


def check_imports(library):
    names = {line.split()[-1].split("@")[0] for line in run([tool("nm"), "-D", "--undefined-only", library]).stdout.splitlines()}
    # HAKMEM_DUMP_ON needs handlers; without it nothing is installed (process.py). The profiler loads what unwinds, from the constructor or
    # the endpoint's thread, but for a copy of libgcc's. That one readies itself once, while fork waits for it as for any walk; and it would
    # have the library need a libc of 2.35 if it were left to find files itself.
    allowed = {"sigaction", "dlopen", "dlsym", "pthread_once"} if library == LIBRARY else set()
    bad = sorted(name for name in names - allowed if FORBIDDEN.fullmatch(name))
    check(not bad and "mmap" in names, f"{library.name} imports {bad}")
    check("_dl_find_object" not in names, f"{library.name} needs a libc of 2.35")


def check_tls(library):
    sizes = re.findall(r"^ *TLS +\S+ +\S+ +\S+ +\S+ +(0x[0-9a-f]+)", run([tool("readelf"), "-lW", library]).stdout, re.M)
    equal(len(sizes), 1, f"TLS segments of {library.name}")
    check(0 < int(sizes[0], 16) <= TLS_MAX, f"{library.name} has {int(sizes[0], 16)} bytes of TLS")


def check_static():
    """A static program has one malloc: libc's would bring its inner functions along."""
    for name in ("static_c", "static_fork_storm"):
        symbols = {line.split()[-1] for line in run([tool("nm"), program(name)]).stdout.splitlines()}
        check("malloc" in symbols and "__libc_start_main" in symbols, f"{name} is no static program")
        others = sorted(symbols & {"_int_malloc", "_int_free", "ptmalloc_init", "main_arena", "mp_"})
        check(not others, f"{name} has libc's malloc too: {others}")


def main():
    check_static()
    equal(len(NEW), 8, "forms of operator new")
    equal(len(DELETE), 12, "forms of operator delete")
    equal(len(PUBLIC), 16, "functions in hakmem.h")
    for library in (LIBRARY, CORE_LIBRARY):
        dynamic = run([tool("readelf"), "-dW", library]).stdout
        needed = re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic)
        others = [name for name in needed if not re.fullmatch(r"libc\.so\.6|ld-linux-[a-z0-9-]+\.so\.[0-9]", name)]
        check(needed and not others, f"{library.name} needs {others or 'nothing, not even libc'}")
        check("NODELETE" in dynamic and "NOW" in dynamic, f"{library.name} is not linked with -z nodelete -z now")
        check("RELRO" in run([tool("readelf"), "-lW", library]).stdout, f"{library.name} is not linked with -z relro")
        names, promised = exported(library), PUBLIC.union(LIBC_NAMES, NEW, DELETE)
        missing = sorted(promised - names)
        check(not missing, f"{library.name} does not export {missing}")
        extra = sorted(names - promised)
        check(not extra, f"{library.name} exports more than it should: {extra}")
        check_aliases(library)
        check_imports(library)
        check_tls(library)
        relocations = run([tool("readelf"), "-rW", library]).stdout
        check("DTPMOD" not in relocations and "TLSDESC" not in relocations, f"{library.name} has TLS that is not initial-exec")


main()
