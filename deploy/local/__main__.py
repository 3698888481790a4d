"""`python -m deploy.local`, what `./sural` calls."""

from deploy.local.cli import main

main()
