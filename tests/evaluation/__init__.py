"""Clinical evaluation cases."""
