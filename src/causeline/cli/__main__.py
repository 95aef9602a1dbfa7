"""`python -m causeline.cli`: the same as `causeline`."""

from causeline.cli import main

if __name__ == "__main__":
    main()
