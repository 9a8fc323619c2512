"""What a model may be asked: contexts of use, and warnings outside them."""

from twinjax.context.use import ContextOfUse

__all__ = ["ContextOfUse"]
