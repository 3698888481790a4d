"""What people do with an alert: acknowledge, start, hand over, snooze, resolve. Each act takes the alert's row lock."""
