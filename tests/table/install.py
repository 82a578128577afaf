#!/usr/bin/python3
"""`cmake --install` puts everything in its place, and it works from there: a program compiled by pkg-config's words, and hakmem-top, which finds
the library, on a command."""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import BUILD, Folder, check, equal, run, tool

PROGRAM = """
#include <hakmem.h>
#include <stdio.h>
int main(void)
{
	struct hak_stage_counts counts;
	char *block = hak_malloc(100);
	hak_stage_counts(&counts);
	printf("%s %d %zu\\n", hak_version(), counts.stage3 > 0, hak_usable_size(block) >= 100 ? (size_t)1 : (size_t)0);
	hak_free(block);
	return 0;
}
"""


def main():
    with Folder() as folder:
        root = folder / "root"
        run([tool("cmake"), "--install", BUILD, "--prefix", "/usr"], env={"DESTDIR": root})
        found = {str(path.relative_to(root / "usr")) for path in root.rglob("*") if not path.is_dir()}
        library = next((name[:-len("/libhakmem.so")] for name in found if name.endswith("/libhakmem.so")), None)
        check(library, f"no libhakmem.so among {sorted(found)}")
        equal(found, {f"{library}/libhakmem.so", f"{library}/libhakmem-core.so", f"{library}/libhakmem.a", f"{library}/pkgconfig/hakmem.pc",
                      "include/hakmem.h", "bin/hakmem-top", "share/man/man1/hakmem-top.1", "share/man/man7/hakmem.7",
                      "share/bash-completion/completions/hakmem-top", "share/zsh/site-functions/_hakmem-top"}, "what is installed")
        pc = (root / "usr" / library / "pkgconfig/hakmem.pc").read_text()
        check("@" not in pc, f"hakmem.pc is not filled in: {pc}")
        environment = {"PKG_CONFIG_LIBDIR": root / "usr" / library / "pkgconfig", "PKG_CONFIG_SYSROOT_DIR": root}
        # The prefix that the build was configured with is the one that counts; the test looks below DESTDIR.
        words = run([tool("pkg-config"), "--define-prefix", "--cflags", "--libs", "hakmem"],
                    env={"PKG_CONFIG_LIBDIR": environment["PKG_CONFIG_LIBDIR"]}).stdout.split()
        (folder / "program.c").write_text(PROGRAM)
        run([tool("gcc"), folder / "program.c", "-o", folder / "program", *words])
        said = run([folder / "program"], env={"LD_LIBRARY_PATH": root / "usr" / library}).stdout
        version = re.search(r"^Version: (.*)$", pc, re.M).group(1)
        equal(said, f"{version} 1 1\n", "what a program linked with it says")
        run([tool("gcc"), folder / "program.c", "-o", folder / "static", f"-I{root}/usr/include", root / "usr" / library / "libhakmem.a", "-pthread"])
        equal(run([folder / "static"]).stdout, said, "what a program with libhakmem.a says")
        result = run([root / "usr/bin/hakmem-top", "--once", "-d", "0.05", "--", "sh", "-c", "sleep 1"], env={"HAKMEM_DIR": folder / "run"})
        check("Memory " in result.stdout, f"the installed hakmem-top shows nothing: {result.stderr}")
        equal(run([root / "usr/bin/hakmem-top", "--version"]).stdout, f"hakmem-top {version}\n", "the version")


main()
