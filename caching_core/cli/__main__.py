"""Let ``python -m caching_core.cli`` be the command."""

from caching_core.cli import main

if __name__ == "__main__":
    main()
