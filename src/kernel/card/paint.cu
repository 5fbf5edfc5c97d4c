// Views of images that lie on the card as bytes. What is done to a view stands in a row of words:
// which image; top | left << 16 and height | width << 16 of the crop; whether the image is mirrored
// before it is cropped (1) and the crop afterwards (2); four bits for each touch in order, the lowest
// first, 0 being their end; and the numbers of those touches, one after the other.

#define WORDS 20
#define TOUCHES 8
#define THREADS 256

enum Touch { END, BRIGHTNESS, CONTRAST, SATURATION, HUE, GRAY, SCALE };

// Where an output position reads along one axis, counted in bytes.
struct Tap {
  int low, high;
  float share;
};

// What a block knows of its view.
struct Painting {
  const u8* bytes;
  const Tap* down;
  const Tap* across;
  const float* numbers;
  // What each change of contrast adds.
  const float* added;
  u32 touches;
  int width, channels;
};

// A byte over 255, rounded once.
__device__ __forceinline__ float lightness(u8 byte) {
  float x = (float)byte, near = x * (1.0f / 255.0f);
  return fmaf(fmaf(-255.0f, near, x), 1.0f / 255.0f, near);
}

__device__ __forceinline__ float between(float share, float low, float high) {
  return low + share * (high - low);
}

__device__ __forceinline__ float cut(float x) { return fminf(fmaxf(x, 0.0f), 1.0f); }

__device__ __forceinline__ float luminance(const float* pixel) {
  return 0.2989f * pixel[0] + 0.587f * pixel[1] + 0.114f * pixel[2];
}

// A place on a circle of length 6, given one that is off by at most one turn.
__device__ __forceinline__ float once_around(float place) {
  place = place < 0.0f ? place + 6.0f : place;
  return place >= 6.0f ? place - 6.0f : place;
}

__device__ __forceinline__ void turn_hue(float* pixel, float turn) {
  float red = pixel[0], green = pixel[1], blue = pixel[2];
  float value = fmaxf(fmaxf(red, green), blue);
  float chroma = value - fminf(fminf(red, green), blue);
  float scale = chroma > 0.0f ? 1.0f / chroma : 0.0f;
  float hue = value == green ? 2.0f + (blue - red) * scale : 4.0f + (red - green) * scale;
  if (value == red) hue = (green - blue) * scale;
  hue = once_around(once_around(hue) + 6.0f * turn);
  for (int at = 0; at < 3; at++) {
    float place = once_around(hue + (5.0f - 2.0f * at));
    pixel[at] = value - chroma * cut(fminf(place, 4.0f - place));
  }
}

// How many numbers a touch has.
__device__ __forceinline__ int numbers_of(int touch, int channels) {
  if (touch == SCALE) return 2 * channels;
  return touch >= BRIGHTNESS && touch <= HUE ? 1 : 0;
}

// Does the touches before `end` to a pixel of three colours, or to the number of one channel.
template <int COLORS>
__device__ __forceinline__ void touched(const Painting& of, int end, int channel, float* pixel) {
  const float* numbers = of.numbers;
  for (int at = 0; at < end; at++) {
    int touch = of.touches >> (4 * at) & 15;
    if (touch == END) return;
    float factor = touch == GRAY ? 0.0f : numbers[0];
    if (touch == BRIGHTNESS) {
      for (int c = 0; c < COLORS; c++) pixel[c] = cut(pixel[c] * factor);
    } else if (touch == CONTRAST && factor != 1.0f) {
      float added = of.added[at];
      for (int c = 0; c < COLORS; c++) pixel[c] = cut(pixel[c] * factor + added);
    } else if (touch == SCALE) {
      for (int c = 0; c < COLORS; c++)
        pixel[c] = (pixel[c] - numbers[channel + c]) * numbers[of.channels + channel + c];
    }
    if constexpr (COLORS == 3) {
      if (touch == SATURATION && factor != 1.0f) {
        float gray = (1.0f - factor) * luminance(pixel);
        for (int c = 0; c < 3; c++) pixel[c] = cut(pixel[c] * factor + gray);
      } else if (touch == HUE && factor != 0.0f) {
        turn_hue(pixel, factor);
      } else if (touch == GRAY) {
        pixel[0] = pixel[1] = pixel[2] = luminance(pixel);
      }
    }
    numbers += numbers_of(touch, of.channels);
  }
}

// A pixel of the crop in its new size, or one channel of it, with the touches before `end`.
template <int COLORS>
__device__ __forceinline__ void painted(const Painting& of, int end, int index, float* pixel) {
  int parts = of.channels / COLORS;
  int place = index / parts, channel = index - place * parts;
  int y = place / of.width;
  Tap down = of.down[y], across = of.across[place - y * of.width];
  const u8 *above = of.bytes + down.low + channel, *below = of.bytes + down.high + channel;
#pragma unroll
  for (int c = 0; c < COLORS; c++) {
    int low = across.low + c, high = across.high + c;
    float left = between(down.share, lightness(above[low]), lightness(below[low]));
    float right = between(down.share, lightness(above[high]), lightness(below[high]));
    pixel[c] = between(across.share, left, right);
  }
  touched<COLORS>(of, end, channel, pixel);
}

// All of a view, by its block: `count` pixels, or numbers where colours mean nothing; first the mean
// that each change of contrast needs.
template <int COLORS>
__device__ void view(const Painting& of, float* added, float* room, T* to, int count) {
  const float* numbers = of.numbers;
  float pixel[COLORS];
  for (int at = 0; at < TOUCHES; at++) {
    int touch = of.touches >> (4 * at) & 15;
    if (touch == END) break;
    float factor = touch == CONTRAST ? numbers[0] : 1.0f;
    numbers += numbers_of(touch, of.channels);
    if (factor == 1.0f) continue;
    float sum = 0.0f;
    for (int index = threadIdx.x; index < count; index += THREADS) {
      painted<COLORS>(of, at, index, pixel);
      if constexpr (COLORS == 3) sum += luminance(pixel);
      else sum += pixel[0];
    }
    sum = block_sum(sum, room);
    if (threadIdx.x == 0) added[at] = (1.0f - factor) * (sum / (float)count);
    __syncthreads();
  }
  for (int index = threadIdx.x; index < count; index += THREADS) {
    painted<COLORS>(of, TOUCHES, index, pixel);
#pragma unroll
    for (int c = 0; c < COLORS; c++) put(to + (long long)index * COLORS + c, pixel[c]);
  }
}

// The tap of `position` where `length` positions are stretched over `size`, in steps from the first.
__device__ __forceinline__ Tap tap(int position, int length, int size) {
  double step = (double)length / (double)size;
  double centre = fmin(fmax((position + 0.5) * step - 0.5, 0.0), (double)(length - 1));
  int low = (int)centre;
  return Tap{low, min(low + 1, length - 1), (float)(centre - low)};
}

// The taps of a view's rows, then those of its columns; `words` is its row of words.
__device__ __forceinline__ void place(const u32* words, Tap* taps, int width, int channels, int tall,
                                      int wide) {
  int top = words[1] & 0xffff, left = words[1] >> 16;
  int rows = words[2] & 0xffff, columns = words[2] >> 16;
  bool before = words[3] & 1, after = words[3] & 2;
  if (before) left = width - left - columns;
  for (int at = threadIdx.x; at < tall + wide; at += THREADS) {
    if (at < tall) {
      Tap it = tap(at, rows, tall);
      int row = width * channels;
      taps[at] = Tap{(top + it.low) * row, (top + it.high) * row, it.share};
    } else {
      int x = at - tall;
      Tap it = tap(after ? wide - 1 - x : x, columns, wide);
      if (before) it.low = columns - 1 - it.low, it.high = columns - 1 - it.high;
      taps[at] = Tap{(left + it.low) * channels, (left + it.high) * channels, it.share};
    }
  }
}

struct alignas(16) Chunk {
  u32 words[4];
};

// Copies the bytes of an image to where its block shares them, 16 at a time where they lie well.
__device__ __forceinline__ void fetch(const u8* from, u8* to, int bytes) {
  int chunks = ((unsigned long long)from & 15) == 0 ? bytes / 16 : 0;
  for (int at = threadIdx.x; at < chunks; at += THREADS) ((Chunk*)to)[at] = ((const Chunk*)from)[at];
  for (int at = 16 * chunks + threadIdx.x; at < bytes; at += THREADS) to[at] = from[at];
}

// A block for each view: of `images` [n, height, width, channels] to `to` [views, tall, wide,
// channels]. A block shares the taps of its view and, if `near`, the bytes of its image behind room
// for them that is a multiple of 16 long.
KERNEL paint(const u8* images, const u32* views, T* to, int height, int width, int channels, int tall,
             int wide, int near) {
  extern __shared__ Chunk shared[];
  __shared__ u32 words[WORDS];
  __shared__ float added[TOUCHES], room[32];
  Tap* taps = (Tap*)shared;
  if (threadIdx.x < WORDS) words[threadIdx.x] = views[(long long)blockIdx.x * WORDS + threadIdx.x];
  __syncthreads();
  int bytes = height * width * channels, size = tall * wide * channels;
  const u8* image = images + (long long)words[0] * bytes;
  place(words, taps, width, channels, tall, wide);
  if (near) {
    u8* copy = (u8*)shared + ((tall + wide) * (int)sizeof(Tap) + 15) / 16 * 16;
    fetch(image, copy, bytes);
    image = copy;
  }
  __syncthreads();
  Painting of = {image, taps, taps + tall, (const float*)(words + 5), added, words[4], wide, channels};
  to += (long long)blockIdx.x * size;
  if (channels == 3) view<3>(of, added, room, to, tall * wide);
  else view<1>(of, added, room, to, size);
}
