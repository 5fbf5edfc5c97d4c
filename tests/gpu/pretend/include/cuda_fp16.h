// What it declares is in small.hpp, which is read before every file of candle's kernels.
