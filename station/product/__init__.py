"""A product of one's own: its first recipe, and the parts from which it is learned."""
