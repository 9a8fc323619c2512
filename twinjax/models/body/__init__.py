"""Bodies: organs that exchange blood, and the plumbing between them."""
