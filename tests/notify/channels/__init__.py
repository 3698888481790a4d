"""Ways out to people: what each does when the other side is well, and when it is not."""
