"""What a sweep stores: records, checkpoints, and the lease of its driver."""
