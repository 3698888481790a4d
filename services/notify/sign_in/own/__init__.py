"""What somebody changes of their own account."""
