"""`sural bench`: how fast, how much, and what each part of it costs."""
