"""Environment and judge of @medplum/core."""
