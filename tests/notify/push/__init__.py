"""Web Push: what a device is told, and that nobody else can read it."""
