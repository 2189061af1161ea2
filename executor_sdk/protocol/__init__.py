"""The wire: plain JSON, its canonical bytes, the digests made of them, and typed views of what a kernel sends."""
