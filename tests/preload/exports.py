#!/usr/bin/python3
"""The built libraries from outside: what they need, what they export, and how they are linked."""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import CORE_LIBRARY, LIBRARY, check, equal, run, tool

LIBC_NAMES = """malloc free calloc realloc reallocarray posix_memalign aligned_alloc memalign valloc pvalloc cfree malloc_usable_size
    free_sized free_aligned_sized mallinfo mallinfo2 mallopt malloc_trim malloc_stats malloc_info
    __libc_malloc __libc_free __libc_calloc __libc_realloc __libc_reallocarray __libc_cfree __libc_memalign __libc_valloc
    __libc_pvalloc __posix_memalign""".split()
NEW = [f"_Zn{kind}m{rest}" for kind in "wa" for rest in ("", "RKSt9nothrow_t", "St11align_val_t",
                                                          "St11align_val_tRKSt9nothrow_t")]
DELETE = [f"_Zd{kind}Pv{rest}" for kind in "la" for rest in ("", "m", "RKSt9nothrow_t", "St11align_val_t", "mSt11align_val_t",
                                                             "St11align_val_tRKSt9nothrow_t")]
PUBLIC = """hak_malloc hak_free hak_calloc hak_realloc hak_memalign hak_usable_size hak_trim hak_stage_counts hak_version""".split()


def exported(library):
    """The names that the library defines for others."""
    lines = run([tool("nm"), "-D", "--defined-only", library]).stdout.splitlines()
    return {line.split()[-1].split("@")[0] for line in lines}


def main():
    equal(len(NEW), 8, "forms of operator new")
    equal(len(DELETE), 12, "forms of operator delete")
    for library in (LIBRARY, CORE_LIBRARY):
        dynamic = run([tool("readelf"), "-dW", library]).stdout
        needed = re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic)
        others = [name for name in needed if not re.fullmatch(r"libc\.so\.6|ld-linux-[a-z0-9-]+\.so\.[0-9]", name)]
        check(needed and not others, f"{library.name} needs {others or 'nothing, not even libc'}")
        check("NODELETE" in dynamic and "NOW" in dynamic, f"{library.name} is not linked with -z nodelete -z now")
        check("RELRO" in run([tool("readelf"), "-lW", library]).stdout, f"{library.name} is not linked with -z relro")
        names = exported(library)
        missing = [name for name in LIBC_NAMES + NEW + DELETE if name not in names]
        check(not missing, f"{library.name} does not export {missing}")
        extra = sorted(names - set(LIBC_NAMES + NEW + DELETE + PUBLIC))
        check(not extra, f"{library.name} exports more than it should: {extra}")
        relocations = run([tool("readelf"), "-rW", library]).stdout
        check("DTPMOD" not in relocations and "TLSDESC" not in relocations, f"{library.name} has TLS that is not initial-exec")


main()
