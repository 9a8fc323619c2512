"""Glucose and insulin: how meals, insulin and the liver move them."""
