//! pipelines/image (filled in by its first commit).
