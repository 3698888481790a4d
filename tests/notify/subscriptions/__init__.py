"""Subscriptions as a subscriber meets them."""
