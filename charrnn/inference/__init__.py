"""One step after another, without torch: the engine, its products, and who computes them."""
