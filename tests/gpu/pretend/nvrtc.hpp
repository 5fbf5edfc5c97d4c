// What a compiled program is to the make-believe driver: this, and the name of a library.
#pragma once

constexpr const char* IMAGE = "// make-believe module\n";
