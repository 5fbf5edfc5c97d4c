//! Facts of the language, each by a small file.
