/* demangle.h: names of functions as people write them, out of those that linkers see: C++ and Rust, of both manglings. */
#ifndef VIEWER_DEMANGLE_H
#define VIEWER_DEMANGLE_H

/* The name without the types of its arguments, and of Rust without the hash behind it; a name of C, or one that can't be
 * taken apart, as it is. To be freed; NULL without memory. */
char *demangle(const char *name);

#endif
