"""The durable truth: records and checkpoints on a storage, and who may write them."""
