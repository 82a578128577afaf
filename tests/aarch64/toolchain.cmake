# Cross-building for aarch64 with Debian's compilers. HAKMEM_SYSROOT holds the arm64 packages that tests/aarch64/run unpacked there; libc is
# the cross-compiler's own. Programs run under qemu's user mode, ctest's too.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES HAKMEM_SYSROOT)

set(libraries ${HAKMEM_SYSROOT}/usr/lib/aarch64-linux-gnu)
set(old_libraries ${HAKMEM_SYSROOT}/lib/aarch64-linux-gnu)
foreach(language C CXX)
  set(CMAKE_${language}_FLAGS_INIT
    "-isystem ${HAKMEM_SYSROOT}/usr/include -isystem ${HAKMEM_SYSROOT}/usr/include/aarch64-linux-gnu")
endforeach()
set(CMAKE_EXE_LINKER_FLAGS_INIT "-L${libraries} -L${old_libraries} -Wl,-rpath-link,${old_libraries}")
set(CMAKE_FIND_ROOT_PATH ${HAKMEM_SYSROOT} /usr/aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
# qemu before 8.0 keeps a record of each page that is reserved: 1 TiB would take it a minute and 12 GB.
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -L /usr/aarch64-linux-gnu
  -E LD_LIBRARY_PATH=${libraries}:${old_libraries} -E HAK_EMULATED=1 -E HAKMEM_RESERVE=5G)
set(ENV{PKG_CONFIG_LIBDIR} ${libraries}/pkgconfig)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${HAKMEM_SYSROOT})
