"""The version of the software. Clinical content has versions of its own."""

VERSION = "0.1.0"
