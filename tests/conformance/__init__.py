"""The conformance kit: vectors, independent validators, property tests, and real clients."""
