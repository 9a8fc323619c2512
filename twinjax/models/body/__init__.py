"""Published bodies of one drug each, as their authors wrote them."""
