"""Instructions that an allocator executes, counted by callgrind: exact, where timings aren't."""
import pathlib
import re

import allocators
from allocators import end
from support import Folder, run, tool


def instructions_outside(path, program):
    """Instructions of a callgrind profile in all files but the program: the allocator's, and libc's on its behalf. The
    profile names files by number after their first mention, and gives below each `calls=` line the callee's cost, which
    is counted in the callee's own lines."""
    names, total, is_outside, is_callee = {}, 0, False, False
    for line in path.read_text().splitlines():
        if match := re.match(r"ob=\((\d+)\)(?: (.*))?", line):
            names.setdefault(match[1], match[2])
            is_outside = pathlib.Path(names[match[1]]).name != program.name
        elif match := re.match(r"cob=\((\d+)\) (.*)", line):
            names[match[1]] = match[2]
        elif line.startswith("calls="):
            is_callee = True
        elif re.match(r"[+*\d-]", line):
            total += int(line.split()[1]) if is_outside and not is_callee else 0
            is_callee = False
    if program.name not in {pathlib.Path(name).name for name in names.values()}:
        end(f"the profile does not tell {program.name} from the rest")
    return total


def without_debug_information(path, folder):
    """A copy to profile: valgrind gives up on debug information that is newer than itself, and none is needed."""
    run([tool("strip"), "--strip-debug", "-o", folder / path.name, path])
    return folder / path.name


def profile(allocator, load, operations, options):
    """(operations made, instructions outside the program) of a run."""
    with Folder() as folder:
        path, program = folder / "profile", without_debug_information(allocators.LOADS, folder)
        library = allocator.library and without_debug_information(allocator.library, folder)
        profiled = allocators.Allocator(allocator.name, library, allocator.variables)
        result = profiled.run([tool("valgrind"), "-q", "--tool=callgrind", f"--callgrind-out-file={path}",
                               program, load.name, operations, options.seed])
        return allocators.parse_run(result.stdout)["operations"], instructions_outside(path, program)


def warm_instructions(allocator, load, options, times=1):
    """What an operation takes once all is warm: the difference of two runs, which start alike. What happens seldom takes runs that are
    some times as long."""
    # Fewer would not be warm: what lists take until they have their length is more than a cheap operation does.
    few, many = (20000, 60000) if options.quick else (200000 * times, 600000 * times)
    (few, start), (many, all_of_it) = (profile(allocator, load, operations, options) for operations in (few, many))
    return (all_of_it - start) / (many - few)
