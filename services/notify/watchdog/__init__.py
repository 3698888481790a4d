"""The watchdog: a synthetic emergency goes through the whole line every minute, and silence is noticed outside."""
