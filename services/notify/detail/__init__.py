"""Everything about one alert on one page: why, what to do, what the patient said, what became of it, and all acts."""
