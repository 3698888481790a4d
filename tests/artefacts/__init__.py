"""What the base publishes about itself: terminology, profiles, search parameters, operations."""
