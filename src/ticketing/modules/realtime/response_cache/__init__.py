"""Public reads answered from memory: the cache, its loaders and the middleware."""
