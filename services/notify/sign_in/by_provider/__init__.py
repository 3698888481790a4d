"""Sign-in by an identity provider: the way there and back."""
