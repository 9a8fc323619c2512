"""A twin kept in step with one patient's data: what is believed, what it foresees, which dose it would give."""
