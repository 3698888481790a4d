"""Environment and judge of the official JSON schema of R4."""
