"""`sural evaluate`: clinical case records through the real mapping and engine, and how often the result is right."""
