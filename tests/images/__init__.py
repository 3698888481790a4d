"""What the images hold, how the containers run, and where the proxy sends what."""
