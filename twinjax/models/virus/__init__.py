"""Viral infections: virus, the cells that it enters, and drugs against it."""
