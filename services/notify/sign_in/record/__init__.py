"""What was recorded, for auditors."""
