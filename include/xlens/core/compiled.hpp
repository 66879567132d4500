// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// Header-only, or beside a compiled library: the same sources either way.
//
// By default every definition is in the headers and is compiled by whoever uses it. With
// XLENS_COMPILED defined (Meson: xlens-compiled; pkg-config: xlens-compiled; CMake:
// xlens::compiled) headers only declare what is no template, and leave out the includes that its
// definitions need; the library that is linked has them. src/ROOM.cpp is the library's part for a
// room: it defines XLENS_BUILDING_ROOM and includes the room's headers.
//
// A header of the room lens with such a part reads
//     XLENS_API int f(int x);                      // what it does
//     #if XLENS_DEFINES(lens)
//     XLENS_API int f(int x) { return x + 1; }
//     #endif

#if defined(XLENS_COMPILED)
#define XLENS_API
#define XLENS_DEFINES(room) (XLENS_BUILDING_##room + 0)
#else
#define XLENS_API inline
#define XLENS_DEFINES(room) 1
#endif
