// libcurand: generators that can be made, and that nobody draws from.

#define API extern "C" __attribute__((visibility("default"))) int

API curandCreateGenerator(void** generator, int) { return *generator = new char, 0; }
API curandDestroyGenerator(void* generator) { return delete (char*)generator, 0; }
API curandSetStream(void*, void*) { return 0; }
API curandSetPseudoRandomGeneratorSeed(void*, unsigned long long) { return 0; }
API curandSetGeneratorOffset(void*, unsigned long long) { return 0; }
