"""All pure thinking of the kernel: records in, changes out; no clock, no store, no network."""
