#!/usr/bin/python3
"""A program whose heap moves: the one that `./build.sh demo` shows.

It goes through phases that favour different block sizes and frees each phase's data before the next has grown, for the number
of seconds given as the argument (default 30). Half-way through a phase it throws away every other object, so that partly used slabs
show; a thread does the same work on the side. Run it with PYTHONMALLOC=malloc: CPython would serve small objects from arenas of its
own otherwise.
"""
import collections
import sys
import threading
import time

DEADLINE = time.monotonic() + float(sys.argv[1] if len(sys.argv) > 1 else 30)
STEP_SECONDS = 0.02


def running():
    return time.monotonic() < DEADLINE


def tree(depth):
    return {"left": tree(depth - 1), "right": tree(depth - 1)} if depth else {"leaf": [depth]}


def small_objects(number):
    return [(number, index, str(index)) for index in range(400)]


def strings(number):
    return ["hakmem " * (3 + (number + index) % 120) for index in range(300)]


def dictionaries(number):
    return [tree(6), {f"key{index}": number for index in range(200)}]


def buffers(number):
    return [bytearray(2048 + (number * 977 + index * 3001) % 150000) for index in range(12)]


PHASES = (("small objects", small_objects), ("strings", strings), ("dictionaries", dictionaries), ("buffers", buffers))


def work(start):
    """Grows, thins out and frees the data of one phase after the other. The data of two phases overlap."""
    kept = collections.deque(maxlen=2)
    phase = start
    while running():
        make = PHASES[phase % len(PHASES)][1]
        data = []
        kept.append(data)
        for number in range(45):
            data.append(make(number))
            if number == 30:
                del data[::2]
            time.sleep(STEP_SECONDS)
            if not running():
                return
        phase += 1


def main():
    helper = threading.Thread(target=work, args=(2,))
    helper.start()
    work(0)
    helper.join()
    print("demo: all phases done", flush=True)


main()
