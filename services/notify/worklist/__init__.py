"""What clinicians see of alerts, and how they act on them."""
