/* A library with nothing in it. What it costs to preload this one is what it costs to preload any, and the start of a
 * program under an allocator is compared with that. */
extern const char hakmem_bench_empty;
const char hakmem_bench_empty __attribute__((visibility("default"))) = 0;
